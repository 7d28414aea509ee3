"""What a server says of itself, read as a model reads it: orders to the model, hidden text, and what stays inside.

Works on plain listings, whoever wrote them. Changes nothing, and decides nothing: it reports.
"""
