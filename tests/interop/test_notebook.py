"""The notebook of examples/, cell by cell, over a lake that pinpipe made, with the readers that it names."""

import subprocess

import conftest

PYTHON = conftest.TOP / ".cache" / "interop" / "venv" / "bin" / "python"

# As Jupyter runs a cell: its last line, where that is an expression, is shown.
RUN_CELLS = """
import ast, json, sys
space = {}
for cell in json.load(open("tables.ipynb"))["cells"]:
    if cell["cell_type"] != "code":
        continue
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), space)
    if last:
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), space)
        print(shown._repr_svg_() if hasattr(shown, "_repr_svg_") else shown)
"""


def test_the_notebook(run, data_dir):
    run("run", "--posts", 200, "--dir", data_dir)
    done = subprocess.run([PYTHON, "-c", RUN_CELLS], cwd=conftest.TOP / "examples", capture_output=True, text=True,
                          env=conftest.clean_environment({"PINPIPE_LAKE": str(data_dir / "lake"),
                                                          "PYTHONDONTWRITEBYTECODE": "1"}), check=False)
    assert done.returncode == 0, done.stderr
    assert "200 rows," in done.stdout
    assert "Pins of each category</title>" in done.stdout and "<polyline" in done.stdout
    assert "no rows" not in done.stdout
