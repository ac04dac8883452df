"""Makes the report: a page of all figures."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.report:report")
