"""measures: tasks of the builtin model, unit tests run on answers, votes on graded answers"""
