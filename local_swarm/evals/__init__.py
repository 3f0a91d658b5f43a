"""measures: tasks of the builtin model, unit tests run on answers, statistics"""
