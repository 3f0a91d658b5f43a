"""files shipped with the package: the builtin model (`demo.gguf`) and its card (`demo.md`)"""
