"""Lists the benchmarks; each is a claim that a command of its own measures."""

import ast
from pathlib import Path


def main() -> None:
    """Print each benchmark's command and claim."""
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if file.stem.startswith("__"):
            continue
        claim = (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").splitlines()[0]
        print(f"python -m benchmarks.{file.stem}\n    {claim}\n")


if __name__ == "__main__":
    main()
