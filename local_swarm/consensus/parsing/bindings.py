"""Where a tree-sitter grammar binds names, for the languages in which renaming a local is safe."""

from __future__ import annotations

from dataclasses import dataclass

Place = tuple[str, str]
"""The type of a node, and the field of it that a name stands in (`*`: any)."""


@dataclass(frozen=True, slots=True)
class Names:
    """`functions` bound what a local is seen in; in `declares` a name is bound; in `shares` it is
    seen from outside (a field, a key), or means something by how it is spelled."""

    functions: frozenset[str] = frozenset()
    declares: frozenset[Place] = frozenset()
    shares: frozenset[Place] = frozenset()

    def declared(self, parent: str, field: str) -> bool:
        """Whether a name that stands there is bound there."""
        return (parent, field) in self.declares or (parent, "*") in self.declares

    def shared(self, parent: str, field: str) -> bool:
        """Whether a name that stands there may not be another."""
        return (parent, field) in self.shares or (parent, "*") in self.shares


_JAVASCRIPT = Names(
    frozenset(
        (
            *("function_declaration", "function_expression", "arrow_function"),
            *("method_definition", "generator_function_declaration", "generator_function"),
        )
    ),
    frozenset(
        (
            ("variable_declarator", "name"),
            ("formal_parameters", "*"),
            ("required_parameter", "pattern"),
            ("optional_parameter", "pattern"),
            ("arrow_function", "parameter"),
            ("catch_clause", "parameter"),
            ("rest_pattern", "*"),
            ("array_pattern", "*"),
            ("for_in_statement", "left"),
        )
    ),
    frozenset((("function_declaration", "name"), ("class_declaration", "name"))),
)
_C = Names(
    frozenset(("function_definition", "lambda_expression")),
    frozenset(
        (
            ("init_declarator", "declarator"),
            ("declaration", "declarator"),
            ("parameter_declaration", "declarator"),
            ("optional_parameter_declaration", "declarator"),
            ("pointer_declarator", "declarator"),
            ("array_declarator", "declarator"),
            ("reference_declarator", "*"),
            ("for_range_loop", "declarator"),
        )
    ),
    frozenset((("function_declarator", "declarator"), ("preproc_def", "name"))),
)
_NAMES = {
    "javascript": _JAVASCRIPT,
    "typescript": _JAVASCRIPT,
    "c": _C,
    "cpp": _C,
    "go": Names(
        frozenset(("function_declaration", "method_declaration", "func_literal")),
        frozenset(
            (
                ("short_var_declaration/expression_list", "*"),
                ("range_clause/expression_list", "*"),
                ("var_spec", "name"),
                ("parameter_declaration", "name"),
            )
        ),
        frozenset((("function_declaration", "name"), ("keyed_element/literal_element", "*"))),
    ),
    "rust": Names(
        frozenset(("function_item", "closure_expression")),
        frozenset(
            (
                ("let_declaration", "pattern"),
                ("parameter", "pattern"),
                ("closure_parameters", "*"),
                ("for_expression", "pattern"),
                ("tuple_pattern", "*"),
                ("mut_pattern", "*"),
            )
        ),
        frozenset((("function_item", "name"),)),
    ),
    "java": Names(
        frozenset(("method_declaration", "constructor_declaration", "lambda_expression")),
        frozenset(
            (
                ("variable_declarator", "name"),
                ("formal_parameter", "name"),
                ("inferred_parameters", "*"),
                ("lambda_expression", "parameters"),
                ("enhanced_for_statement", "name"),
                ("catch_formal_parameter", "name"),
            )
        ),
        frozenset(
            (
                ("field_access", "field"),
                ("method_invocation", "name"),
                ("method_declaration", "name"),
                ("class_declaration", "name"),
            )
        ),
    ),
}


def names_of(language: str) -> Names:
    """The rules of a language; empty where no name can safely be another."""
    return _NAMES.get(language, Names())
