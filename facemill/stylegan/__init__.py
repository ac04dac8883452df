"""Stage `stylegan`: a generator of portraits out of nothing, its figures, and ways to steer it."""
