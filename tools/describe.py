#!/usr/bin/python3
"""Makes the page /docs of the OpenAPI document: describe.py DOCUMENT OUTPUT.

Static HTML without scripts; its look is web/docs.css. What it has no words for it shows as JSON, so nothing of the document is left out.
"""
import html
import json
import re
import sys

WORDS = {  # of constraints; %s is the value
    "minimum": "at least %s", "maximum": "at most %s", "minLength": "at least %s characters", "maxLength": "at most %s characters",
    "minItems": "at least %s", "maxItems": "at most %s", "maxProperties": "at most %s members", "pattern": "matches %s",
    "contentEncoding": "in %s", "contentMediaType": "%s", "contentSchema": "which is %s", "default": "%s if it is missing",
}
SHOWN = {"$ref", "type", "description", "properties", "required", "items", "enum", "const", "allOf", "additionalProperties",
         "unevaluatedProperties", "uniqueItems", *WORDS}


def tag(name, *content, **attributes):
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{name}{written}>{''.join(content)}</{name}>"


def code(text):
    return tag("code", html.escape(text))


def as_code(value):
    return code(json.dumps(value, ensure_ascii=False))


def as_block(value):
    return tag("pre", html.escape(json.dumps(value, ensure_ascii=False, indent=2)), tabindex="0")


def prose(text, name="p"):
    """What stands between two ` is typed."""
    parts = ["".join(code(part) if number % 2 else html.escape(part) for number, part in enumerate(one.split("`")))
             for one in text.split("\n\n")]
    return "".join(tag(name, part) for part in parts)


def link(reference):
    """#/components/schemas/Error is #schema-Error on the page."""
    kind, name = reference.split("/")[-2:]
    return tag("a", html.escape(name), href=f"#{kind.rstrip('s')}-{name}")


def slug(*words):
    return re.sub("[^A-Za-z0-9]+", "-", "-".join(words)).strip("-")


def titled(level, text, anchor, *content, **attributes):
    """A section; the large ones alone are landmarks to a screen reader, which would have a hundred else, many with the same name."""
    named = {"aria_labelledby": anchor} if level == 2 else {}
    heading = tag(f"h{level}", tag("a", text, href="#" + anchor, class_="anchor"), id=anchor)
    return tag("section", heading, *content, **named, **attributes)


# --- Schemas ---


def is_short(schema):
    """Whether type_of() says all of it that is not said in the next line."""
    return isinstance(schema, bool) or not set(schema) & {"properties", "not", "if", "contains"}


def type_of(schema):
    if isinstance(schema, bool):
        return "anything" if schema else "nothing"
    if "$ref" in schema:
        return link(schema["$ref"])
    if "const" in schema:
        return as_code(schema["const"])
    if "enum" in schema:
        return " | ".join(as_code(value) for value in schema["enum"])
    if "type" not in schema:
        choices = schema.get("oneOf")
        return " or ".join(type_of(choice) for choice in choices) if choices else "any JSON"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    text = " or ".join(types)
    return text.replace("array", f"array of {type_of(schema['items'])}", 1) if "items" in schema else text


def constraints(schema):
    if isinstance(schema, bool):
        return ""
    said = [html.escape(words) % (type_of(schema[key]) if isinstance(schema[key], dict) else as_code(schema[key]))
            for key, words in WORDS.items() if key in schema]
    if "enum" in schema and "type" in schema:
        said.insert(0, schema["type"])
    if schema.get("uniqueItems"):
        said.append("none twice")
    return tag("p", "; ".join(said), class_="bounds") if said else ""


def is_choice(schema):
    """What type_of() has said."""
    return "type" not in schema and all(is_short(choice) for choice in schema.get("oneOf", []))


def rest(schema):
    """Rules that take more than a word."""
    left = {key: value for key, value in schema.items() if key not in SHOWN and not (key == "oneOf" and is_choice(schema))}
    return tag("details", tag("summary", "And this holds"), as_block(left)) if left else ""


def others(schema):
    for key in ("additionalProperties", "unevaluatedProperties"):
        if schema.get(key) is False:
            return tag("p", "There are no other members.", class_="bounds")
        if key in schema:
            return tag("p", f"Each member is {type_of(schema[key])}.", class_="bounds")
    return ""


def member(name, schema, needed):
    mark = tag("span", "required", class_="needed") if needed else ""
    body = "" if isinstance(schema, bool) else prose(schema.get("description", "")) + constraints(schema) + inside(schema)
    return tag("dt", code(name), " ", tag("span", type_of(schema), class_="type"), " ", mark) + tag("dd", body)


def inside(schema):
    """What is nested in it."""
    parts = [tag("p", "All that is in " + " and ".join(type_of(one) for one in schema["allOf"]) + ", and:")] if "allOf" in schema else []
    known = schema.get("properties", {})
    needed = schema.get("required", [])
    if known:
        parts.append(tag("dl", *(member(name, one, name in needed) for name, one in known.items()), class_="members"))
    if isinstance(schema.get("items"), dict) and "properties" in schema["items"]:
        parts.append(inside(schema["items"]))
    return "".join(parts) + others(schema) + rest(schema)


def describe_schema(schema):
    kind = tag("p", tag("span", type_of(schema), class_="type"))
    return prose(schema.get("description", "")) + kind + constraints(schema) + inside(schema)


# --- Headers, answers ---


def describe_header(name, header):
    if "$ref" in header:
        return tag("dt", code(name)) + tag("dd", "See ", link(header["$ref"]), ".")
    mark = tag("span", "always", class_="needed") if header.get("required") else ""
    return (tag("dt", code(name), " ", tag("span", type_of(header["schema"]), class_="type"), " ", mark)
            + tag("dd", prose(header["description"]), constraints(header["schema"])))


def describe_headers(headers):
    if not headers:
        return ""
    return tag("details", tag("summary", f"{len(headers)} headers"),
               tag("dl", *(describe_header(name, one) for name, one in headers.items()), class_="members"))


def describe_content(content, told):
    parts = []
    for kind, media in content.items():
        parts.append(tag("p", code(kind), ": ", tag("span", type_of(media["schema"]), class_="type")))
        if not is_short(media["schema"]):
            parts.append(inside(media["schema"]))
        parts += [tag("figure", tag("figcaption", name.replace("_", " ")), as_block(example["value"]))
                  for name, example in media.get("examples", {}).items() if name not in told]
    return "".join(parts)


def describe_response(response, told=()):
    if "$ref" in response:
        return tag("p", link(response["$ref"]))
    return prose(response["description"]) + describe_content(response.get("content", {}), told) + describe_headers(response.get("headers"))


# --- Paths ---


def describe_example(name, request, status, answer, is_first):
    script = request.get("script")
    keys = {key: value for key, value in request.items() if key != "script"}
    parts = [tag("h6", "Script"), tag("pre", html.escape(script), tabindex="0")] if script is not None else []
    if keys:
        parts += [tag("h6", "Beside it" if parts else "Request"), as_block(keys)]
    return tag("details", tag("summary", html.escape(name.replace("_", " ").capitalize()), " ", tag("span", status, class_="status")),
               *parts, tag("h6", "Answer"), as_block(answer), class_="example", **({"open": "open"} if is_first else {}))


def pairs(operation):
    """Of examples that are told by request and answer under one name."""
    requests = {name: one["value"] for media in operation.get("requestBody", {}).get("content", {}).values()
                for name, one in media.get("examples", {}).items()}
    answers = {name: (status, one["value"]) for status, response in operation["responses"].items()
               for media in response.get("content", {}).values() for name, one in media.get("examples", {}).items()}
    return [(name, request, *answers[name]) for name, request in requests.items() if name in answers]


def describe_operation(path, method, operation):
    anchor = slug(method, path) or method
    told = pairs(operation)
    names = {name for name, *_ in told}
    parts = [prose(operation["summary"])]
    if "requestBody" in operation:
        parts.append(titled(5, "Request", anchor + "-request", describe_content(operation["requestBody"]["content"], names)))
    if told:
        parts.append(titled(5, "Examples", anchor + "-examples",
                            tag("p", "A test sends each to the service and compares the answer; figures of usage differ from run to run."),
                            *(describe_example(*one, one is told[0]) for one in told)))
    answers = [titled(6, status, f"{anchor}-{status}", describe_response(response, names), class_="answer")
               for status, response in operation["responses"].items()]
    parts.append(titled(5, "Answers", anchor + "-answers", *answers))
    return titled(4, f"{method.upper()} {html.escape(path)}", anchor, *parts, class_="operation " + method)


def describe_path(path, item):
    parameters = "".join(member(one["name"], {"description": one["description"], **one["schema"]}, True)
                         for one in item.get("parameters", []))
    operations = [describe_operation(path, method, one) for method, one in item.items() if method not in ("description", "parameters")]
    return titled(3, html.escape(path), slug("path", path), prose(item.get("description", "")),
                  tag("dl", parameters, class_="members") if parameters else "", *operations, class_="path")


# --- The page ---

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}: the API</title>
<link rel="icon" href="page/icon.svg">
<link rel="stylesheet" href="page/docs.css">
</head>
<body>
<a class="skip" href="#content">Skip to the content</a>
"""


def contents(document):
    parts = document["components"]
    lists = [("Paths", [(path, slug("path", path)) for path in document["paths"]])]
    lists += [(title, [(name, f"{kind}-{name}") for name in parts[kind + "s"]])
              for title, kind in (("Schemas", "schema"), ("Answers", "response"), ("Headers", "header"))]
    return "".join(tag("h2", title) + tag("ul", *(tag("li", tag("a", html.escape(name), href="#" + anchor)) for name, anchor in found))
                   for title, found in lists)


def describe(document):
    info, parts = document["info"], document["components"]
    sections = [
        titled(2, "Keys", "keys", *(prose(one.get("description", "")) + tag("p", code(f"{one['type']}, {one['scheme']}"))
                                    for one in parts["securitySchemes"].values())),
        titled(2, "Paths", "paths", *(describe_path(path, item) for path, item in document["paths"].items())),
        titled(2, "Schemas", "schemas", *(titled(3, name, f"schema-{name}", describe_schema(one)) for name, one in parts["schemas"].items())),
        titled(2, "Answers", "answers", tag("p", "That several paths share."),
               *(titled(3, name, f"response-{name}", describe_response(one)) for name, one in parts["responses"].items())),
        titled(2, "Headers", "headers", *(titled(3, name, f"header-{name}", tag("dl", describe_header(name, one), class_="members"))
                                          for name, one in parts["headers"].items())),
    ]
    title = tag("h1", html.escape(info["title"]), " ", tag("span", f"API {html.escape(info['version'])}", class_="version"))
    links = tag("p", tag("a", "Try it out", href="./"), " · ", tag("a", "openapi.json", href="openapi.json"))
    return (HEAD.format(title=html.escape(info["title"]))
            + tag("header", title, prose(info["summary"]), links)
            + tag("div", tag("nav", contents(document), aria_label="Contents"),
                  tag("main", prose(info["description"]), *sections, id="content", tabindex="-1"), class_="columns")
            + "\n</body>\n</html>\n")


def main():
    source, target = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        document = json.load(file)
    with open(target, "w", encoding="utf-8") as file:
        file.write(describe(document))


main()
