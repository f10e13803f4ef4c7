"""The input languages: text to documents, documents to the model's declared objects.

`yaml_text.py` reads text, `document.py` is one object as written, `schema.py` checks an
object against a kind's fields, `registry.py` lists the kinds of all dialects and lowers
documents to `model.declared.Declared`. Each dialect has a folder, each kind a file.

This room is pure: it never opens a file, never looks at other objects while it lowers one
(`model.link` does that) and never raises for what a user wrote. `pipeline` calls it.
"""
