// The engine of an exported page: what the studio's server does for `paint` and `post`, without a server.
// `facemill/studio/export_page.py` puts it in front of the page's script, and its data into elements of the page.

/** The content of a data element: base64 of gzip. The element is removed. */
async function embedded(id) {
  const element = document.getElementById(`exported-${id}`), text = element.textContent;
  element.remove();
  const bytes = Uint8Array.fromBase64 ? Uint8Array.fromBase64(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return bytesThrough(new DecompressionStream("gzip"), bytes);
}

async function bytesThrough(stream, bytes) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** What the worker does, after ONNX Runtime Web's own script, so that the pen does not wait for portraits. */
const WORKER = `
let session;
onmessage = async ({ data: { wasm, model, n, inputs } }) => {
  try {
    if (model) {
      Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1 });
      session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
      return postMessage({ n });
    }
    const feeds = {};
    for (const [name, tensor] of Object.entries(inputs)) feeds[name] = new ort.Tensor(...tensor);
    const { image } = await session.run(feeds);
    postMessage({ n, pixels: image.data });
  } catch (error) {
    postMessage({ n, fault: String(error.message ?? error) });
  }
};`;

/** A function that sends a message to a worker of this script, and promises its answer's pixels. */
function startWorker(script) {
  const url = URL.createObjectURL(new Blob([script, WORKER], { type: "text/javascript" }));
  const worker = new Worker(url), waiting = new Map();
  let count = 0;
  const settle = ({ n, pixels, fault }) => {
    const { resolve, reject } = waiting.get(n);
    waiting.delete(n);
    if (fault) reject(new Error(`the model cannot be run: ${fault}`));
    else resolve(pixels);
  };
  worker.onmessage = ({ data }) => settle(data);
  worker.onerror = ({ message }) => [...waiting.keys()].forEach((n) => settle({ n, fault: message ?? "this browser starts no worker" }));
  return (message, transferred = []) => new Promise((resolve, reject) => {
    waiting.set(++count, { resolve, reject });
    worker.postMessage({ ...message, n: count }, transferred);
  });
}

/** What `torch.randn` draws on a processor, (count), by a generator of this seed: a style of `--seed`. */
function randn(seed, count) {
  const state = new Uint32Array(624);
  state[0] = seed % 2 ** 32;
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let next = 624;
  const draw = () => { // the Mersenne Twister MT19937
    if (next === 624) {
      for (let i = 0; i < 624; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      next = 0;
    }
    let y = state[next++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
  const polar = (radius, angle) => [radius * Math.cos(2 * Math.PI * angle), radius * Math.sin(2 * Math.PI * angle)];
  if (count < 16) { // pairs by Box and Muller, of 53 bits
    const uniform = () => ((draw() & 0x1fffff) * 2 ** 32 + draw()) / 2 ** 53, normal = [];
    while (normal.length < count) {
      const angle = uniform();
      normal.push(...polar(Math.sqrt(-2 * Math.log1p(-uniform())), angle));
    }
    return normal.slice(0, count);
  }
  const values = Array.from({ length: count }, () => (draw() & 0xffffff) / 2 ** 24); // of 24 bits, by sixteens
  const pair = (start) => {
    for (let i = start; i < start + 8; i++) [values[i], values[i + 8]] = polar(Math.sqrt(-2 * Math.log(1 - values[i])), values[i + 8]);
  };
  for (let start = 0; start + 16 <= count; start += 16) pair(start);
  if (count % 16) {
    for (let i = count - 16; i < count; i++) values[i] = (draw() & 0xffffff) / 2 ** 24;
    pair(count - 16);
  }
  return values;
}

/** A mask at the model's size, by nearest pixels. */
function fitMask(mask, [height, width], [rows, columns]) {
  if (mask.length !== height * width) throw new Error(`a mask of ${height} x ${width} pixels has ${mask.length} bytes`);
  const at = (i, from, to) => Math.floor(((i + 0.5) * from) / to);
  return Uint8Array.from({ length: rows * columns }, (_, i) => mask[at(Math.floor(i / columns), height, rows) * width + at(i % columns, width, columns)]);
}

/** CIELAB (D65) of an sRGB color, as OpenCV computes it: white has a* and b* 0. */
function labOf(red, green, blue) {
  const linear = [red, green, blue].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
  const toXyz = [[0.412453, 0.35758, 0.180423], [0.212671, 0.71516, 0.072169], [0.019334, 0.119193, 0.950227]];
  const white = [0.950456, 1, 1.088754];
  const [x, y, z] = toXyz.map((row, i) => {
    const t = row.reduce((sum, weight, j) => sum + weight * linear[j], 0) / white[i];
    return t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16 / 116;
  });
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

/** CIEDE2000 between two colors: Sharma, Wu and Dalal 2005, https://doi.org/10.1002/col.20070. */
function ciede2000([l1, a1, b1], [l2, a2, b2]) {
  const { hypot, atan2, sin, cos, exp, sqrt, PI } = Math, rad = PI / 180;
  const g = (c) => sqrt(c ** 7 / (c ** 7 + 25 ** 7));
  const mean = (hypot(a1, b1) + hypot(a2, b2)) / 2, scale = 1 + 0.5 * (1 - g(mean));
  const [c1, c2] = [hypot(a1 * scale, b1), hypot(a2 * scale, b2)];
  const hue = (a, b) => (atan2(b, a * scale) / rad + 360) % 360;
  const [h1, h2] = [hue(a1, b1), hue(a2, b2)];
  const both = c1 * c2 > 0, apart = both ? ((h2 - h1 + 540) % 360) - 180 : 0;
  const h = both ? (h1 + apart / 2 + 360) % 360 : h1 + h2;
  const [l, c] = [(l1 + l2) / 2, (c1 + c2) / 2];
  const t = 1 - 0.17 * cos((h - 30) * rad) + 0.24 * cos(2 * h * rad) + 0.32 * cos((3 * h + 6) * rad) - 0.2 * cos((4 * h - 63) * rad);
  const dl = (l2 - l1) / (1 + (0.015 * (l - 50) ** 2) / sqrt(20 + (l - 50) ** 2));
  const dc = (c2 - c1) / (1 + 0.045 * c), dh = (2 * sqrt(c1 * c2) * sin((apart / 2) * rad)) / (1 + 0.015 * c * t);
  const turn = -2 * g(c) * sin(60 * exp(-(((h - 275) / 25) ** 2)) * rad);
  return sqrt(dl ** 2 + dc ** 2 + dh ** 2 + turn * dc * dh);
}

/** The median color of the pixels of these classes, without the outermost where enough remain; null for too few. */
function regionColor(pixels, mask, [rows, columns], ids, least) {
  const inside = Uint8Array.from(mask, (id) => ids.includes(id));
  const inner = inside.map((value, i) => {
    const [y, x] = [Math.floor(i / columns), i % columns];
    for (let v = Math.max(0, y - 1); value && v <= Math.min(rows - 1, y + 1); v++)
      for (let u = Math.max(0, x - 1); u <= Math.min(columns - 1, x + 1); u++) value &&= inside[v * columns + u];
    return value;
  });
  for (const region of [inner, inside]) {
    const colors = [];
    region.forEach((value, i) => value && colors.push(labOf(...pixels.subarray(3 * i, 3 * i + 3))));
    if (colors.length < least) continue;
    return [0, 1, 2].map((axis) => {
      const sorted = Float64Array.from(colors, (color) => color[axis]).sort(), half = sorted.length >> 1;
      return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    });
  }
  return null;
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function pngChunk(kind, content) {
  const chunk = new Uint8Array(12 + content.length), view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  chunk.set(new TextEncoder().encode(kind), 4);
  chunk.set(content, 8);
  let crc = -1;
  for (let i = 4; i < 8 + content.length; i++) crc = CRC[(crc ^ chunk[i]) & 255] ^ (crc >>> 8);
  view.setUint32(8 + content.length, ~crc);
  return chunk;
}

const deflated = (bytes) => bytesThrough(new CompressionStream("deflate"), bytes);

/** A PNG of RGB pixels, with a text as the studio saves it; no canvas is read, since some browsers change what they say. */
async function encodePng(pixels, [rows, columns], text) {
  const header = new Uint8Array(13), lines = new Uint8Array(rows * (1 + 3 * columns));
  new DataView(header.buffer).setUint32(0, columns);
  new DataView(header.buffer).setUint32(4, rows);
  header.set([8, 2], 8);
  for (let y = 0; y < rows; y++) lines.set(pixels.subarray(3 * columns * y, 3 * columns * (y + 1)), y * (1 + 3 * columns) + 1);
  const chunks = [["IHDR", header], ["iTXt", new TextEncoder().encode(`facemill\0\0\0\0\0${text}`)], ["IDAT", await deflated(lines)], ["IEND", new Uint8Array()]];
  const blob = new Blob([new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), ...chunks.map((chunk) => pngChunk(...chunk))]);
  return new Uint8Array(await blob.arrayBuffer());
}

function base64(bytes) {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** The engine by what `export_page` wrote: {hello, ready, paint, post}. */
function exportedEngine(data) {
  const { hello, styles, vectors, regions, portraits, about } = data, size = hello.size;
  const seen = new Map();
  let run;

  async function load() {
    if (!window.WebAssembly || !window.DecompressionStream) throw new Error("this page needs a newer browser");
    const [runtime, wasm, model] = await Promise.all(["runtime", "wasm", "model"].map(embedded));
    run = startWorker(runtime);
    await run({ wasm: wasm.buffer, model }, [wasm.buffer, model.buffer]);
  }

  const rgb = (mask, z) => run({ inputs: { mask: ["uint8", mask, [1, ...size]], ...(hello.z === "none" ? {} : { z: ["float32", Float32Array.from(z), [1, z.length]] }) } });

  function codeOf({ seed, portrait, z }) {
    if (hello.z === "none") return [];
    if (seed !== undefined) {
      const normal = randn(seed, hello.z_dim);
      const code = styles.mean.map((mean, i) => mean + styles.scale[i].reduce((sum, weight, j) => sum + weight * normal[j], 0));
      return hello.z === "regions" ? code.map((value) => Math.min(Math.max(value, -1), 1)) : code;
    }
    const code = portrait === undefined ? z : portraits[portrait]?.z;
    if (code?.length !== hello.z_dim) throw new Error(`a style of ${code?.length ?? "no"} numbers; accepted: ${hello.z_dim}`);
    return code;
  }

  /** Which numbers of a style code by region are those of a class. */
  function placesOf(name) {
    const id = hello.classes.findIndex((c) => c.name === name);
    return [3 * id, 3 * id + 1, 3 * id + 2];
  }

  /** The style code before sliders. */
  function baseOf({ styles: given, mix, mixed, truncation, colors }) {
    const [a, b = a] = given.map(codeOf), isMixed = mixed && new Set(mixed.flatMap(placesOf));
    const share = (i) => (b === a || (isMixed && !isMixed.has(i)) ? 0 : mix);
    const base = a.map((value, i) => truncation * ((1 - share(i)) * value + share(i) * b[i]) + (1 - truncation) * styles.mean[i]);
    for (const [name, color] of Object.entries(colors ?? {}))
      placesOf(name).forEach((place, i) => (base[place] = parseInt(color.slice(1 + 2 * i, 3 + 2 * i), 16) / 127.5 - 1));
    return base;
  }

  /** The names that a portrait without sliders shows; as a slider moves, those under an earlier mask will do. */
  async function seenIn(mask, z, moving, pixels = null) {
    const key = z.join(), last = seen.get(key);
    if (last && (moving || last.mask.join() === mask.join())) return last.names;
    const names = Object.fromEntries(vectors.groups.map(({ name }) => [name, null]));
    for (const { group, ids, least, palette } of regions) {
      if (!palette.length) continue;
      pixels ??= await rgb(mask, z);
      const color = regionColor(pixels, mask, size, ids, least);
      const distance = (colors) => Math.min(...colors.map((typical) => ciede2000(color, typical)));
      names[group] = color && palette.reduce((best, entry) => (distance(entry.colors) < distance(best.colors) ? entry : best)).name;
    }
    if (seen.size > 16) seen.clear();
    seen.set(key, { mask, names });
    return names;
  }

  function step(key, { from, to, amount }, names) {
    if (vectors.booleans[key] && to === key) return vectors.booleans[key].map((value) => amount * value);
    const group = vectors.groups.find(({ name }) => name === key);
    if (!group?.names.includes(to)) throw new Error(`${key}: found ${to}; accepted: ${group?.names.join(", ") ?? "another slider"}`);
    const sources = from ?? names[key] ? [from ?? names[key]] : group.names.filter((name) => name !== to);
    return styles.mean.map((_, i) => {
      const values = sources.map((name) => (name === to ? 0 : (vectors.pairs[`${name}.${to}`]?.[i] ?? -vectors.pairs[`${to}.${name}`][i])));
      return (amount * values.reduce((sum, value) => sum + value, 0)) / values.length;
    });
  }

  async function painted(header, mask) {
    const fitted = fitMask(mask, header.size, size), base = baseOf(header);
    const moved = Object.entries(header.sliders ?? {}).filter(([, { amount }]) => amount), z = [...base];
    const plain = moved.length ? null : await rgb(fitted, base), names = await seenIn(fitted, base, header.moving, plain);
    for (const [key, slider] of moved) step(key, slider, names).forEach((value, i) => (z[i] += value));
    return { z: [...Float32Array.from(z)], seen: names, pixels: plain ?? (await rgb(fitted, z)) };
  }

  async function paint(header, mask) {
    const start = performance.now(), { pixels, ...rest } = await painted(header, mask), body = new Uint8Array((4 * pixels.length) / 3).fill(255);
    for (let i = 0, j = 0; i < pixels.length; i += 3, j += 4) [body[j], body[j + 1], body[j + 2]] = [pixels[i], pixels[i + 1], pixels[i + 2]];
    const ms = Math.round(10 * (performance.now() - start)) / 10;
    return { header: { n: header.n, ms, backend: "onnxruntime-web float32", ...rest, kind: "rgba", size }, body };
  }

  async function save({ n, moving, ...state }, mask) {
    const { z, seen: names, pixels } = await painted({ ...state, moving: false }, mask);
    const given = state.styles.map((style) => (style.portrait === undefined ? style : { z: portraits[style.portrait].z }));
    const text = JSON.stringify({ ...about, size, z, state: { ...state, styles: given }, mask: base64(await deflated(mask)), seen: names });
    const time = new Date().toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
    return { header: { files: [`${time}.png`] }, parts: [await encodePng(pixels, size, text)] };
  }

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const answers = {
    "/portraits": () => ({ header: data.sheet.header, parts: [bytes(data.sheet.jpeg)] }),
    "/portrait": async ({ number }) => {
      const { z, mask, name } = portraits[number];
      return { header: { size, z, name }, parts: [await bytesThrough(new DecompressionStream("gzip"), bytes(mask)), new Uint8Array()] };
    },
    "/save": save,
  };
  const post = async (path, header, body) => {
    if (!answers[path]) throw new Error("an exported page cannot do this; the studio itself can");
    return answers[path](header, body);
  };
  return { hello, ready: load(), paint, post };
}
