"""Natively nothing can load the component's side; that it has the same functions as the fake's can be read."""

import ast
import inspect
from pathlib import Path

import ringfence
from ringfence.fake import imports

SOURCE = Path(ringfence.__file__).parent / "_component.py"


def test_both_doors_have_the_same_functions():
    component = {
        node.name: [argument.arg for argument in node.args.args]
        for node in ast.parse(SOURCE.read_text()).body
        if isinstance(node, ast.FunctionDef)
    }
    for name, function in vars(imports).items():
        if inspect.isfunction(function) and function.__module__ == imports.__name__ and not name.startswith("_"):
            assert name in component
            assert len(component[name]) == len(inspect.signature(function).parameters), name
