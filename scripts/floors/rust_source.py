"""What one Rust file says: its modules, imports, items and paths. No compiler is needed for that."""

import re

TOKEN = re.compile(
    r"""
    (?P<skip>\s+|//[^\n]*)
  | (?P<block>/\*)
  | (?P<raw>\b(?:br|cr|r)(?P<hashes>\#*)")
  | (?P<string>\b[bc]?"(?:\\.|[^"\\])*"|"(?:\\.|[^"\\])*")
  | (?P<char>b?'(?:\\(?:x[0-9a-fA-F]{2}|u\{[0-9a-fA-F_]+\}|.)|[^'\\])')
  | (?P<lifetime>'[A-Za-z_]\w*)
  | (?P<ident>(?:r\#)?[A-Za-z_]\w*)
  | (?P<path>::)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
ITEMS = {"fn", "struct", "enum", "trait", "type", "const", "static", "union"}
OPEN, CLOSE = {"{": "}", "(": ")", "[": "]"}, {"}", ")", "]"}


def tokens(text):
    """The file's tokens with their line numbers, without comments and literals."""
    found, at, line = [], 0, 1
    while at < len(text):
        match = TOKEN.match(text, at)
        kind, end = match.lastgroup, match.end()
        if kind == "block":
            depth = 1
            while depth and end < len(text):
                depth += {"/*": 1, "*/": -1}.get(text[end : end + 2], 0)
                end += 2 if text[end : end + 2] in ("/*", "*/") else 1
        elif match.group("raw"):
            end = text.index('"' + match.group("hashes"), end) + 1 + len(match.group("hashes"))
        elif kind in ("ident", "path", "other"):
            found.append((match.group().removeprefix("r#"), line))
        line += text.count("\n", at, end)
        at = end
    return found


class Module:
    """A module of a crate: a file, or a part of one in braces."""

    def __init__(self, name, parent, file):
        self.name, self.parent, self.file = name, parent, file
        self.children = {}
        # Names that `mod name;` declares, for a test only or not.
        self.declared = {}
        # name → (path, line, public): what `use` brings into scope.
        self.imports = {}
        self.globs = []
        self.items = set()
        # (path, line) of each path with `::` in it.
        self.paths = []
        # Identifiers that stand alone → first line.
        self.idents = {}


class Reader:
    """Fills modules from tokens."""

    def __init__(self, text):
        self.tokens, self.at = tokens(text), 0

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at][0] if at < len(self.tokens) else ""

    def line(self):
        return self.tokens[min(self.at, len(self.tokens) - 1)][1]

    def skip_group(self):
        """Over a group in brackets that begins here; its text."""
        depth, text = 0, []
        while self.at < len(self.tokens):
            token = self.peek()
            depth += (token in OPEN) - (token in CLOSE)
            text.append(token)
            self.at += 1
            if depth == 0:
                break
        return "".join(text)

    def skip_item(self):
        """Over an item: to its `;`, or over its body."""
        while self.at < len(self.tokens):
            token = self.peek()
            if token == "{":
                self.skip_group()
                return
            if token in ("(", "["):
                self.skip_group()
                continue
            if token in CLOSE:
                return
            self.at += 1
            if token in (";", ","):
                return

    def module(self, module):
        """Everything up to the end of the file or of the module's braces."""
        depth, test_only = 0, False
        while self.at < len(self.tokens):
            token = self.peek()
            if token == "#" and (self.peek(1) == "[" or self.peek(1) + self.peek(2) == "!["):
                self.at += 1 if self.peek(1) == "[" else 2
                attribute = self.skip_group()
                test_only = test_only or re.search(r"cfg\((all\()?test\b", attribute) is not None
                continue
            public = token == "pub"
            if public:
                self.at += 1
                if self.peek() == "(":
                    self.skip_group()
                token = self.peek()
            if token == "mod" and self.peek(2) in (";", "{"):
                self.submodule(module, test_only)
            elif test_only:
                self.skip_item()
            elif token == "use":
                self.at += 1
                self.use_tree(module, [], public)
                self.at += 1
            elif token == "}" and depth == 0:
                self.at += 1
                return
            else:
                depth += (token == "{") - (token == "}")
                self.plain(module, token, depth)
            test_only = False

    def submodule(self, module, test_only):
        name, opens = self.peek(1), self.peek(2) == "{"
        self.at += 2
        if not opens:
            module.declared[name] = test_only
            self.at += 1
        elif test_only:
            self.skip_group()
        else:
            self.at += 1
            child = module.children[name] = Module(name, module, module.file)
            self.module(child)

    def plain(self, module, token, depth):
        line = self.line()
        if token == "macro_rules" and self.peek(1) == "!":
            module.items.add(self.peek(2))
            self.at += 3
        elif token in ITEMS and depth == 0 and re.match(r"[A-Za-z_]", self.peek(1)):
            if self.peek(1) not in ITEMS and self.peek(1) not in ("mut", "ref", "unsafe"):
                module.items.add(self.peek(1))
            self.at += 1
        elif re.match(r"[A-Za-z_]", token):
            path = [token]
            while self.peek(1) == "::" and re.match(r"[A-Za-z_]", self.peek(2)):
                path.append(self.peek(2))
                self.at += 2
            self.at += 1
            if len(path) > 1:
                module.paths.append((path, line))
            before = self.tokens[self.at - 2][0] if self.at > 1 and len(path) == 1 else ""
            if before not in (".", "::"):
                module.idents.setdefault(path[0], line)
        else:
            self.at += 1

    def use_tree(self, module, prefix, public):
        """One branch of a `use`; stops before `,`, `}` or `;`."""
        path, line = list(prefix), self.line()
        while True:
            token = self.peek()
            if token == "::":
                self.at += 1
            elif token == "{":
                self.at += 1
                while self.peek() not in ("}", ""):
                    self.use_tree(module, path, public)
                    if self.peek() == ",":
                        self.at += 1
                self.at += 1
                return
            elif token == "*":
                module.globs.append((path, line, public))
                self.at += 1
                return
            else:
                path.append(token)
                self.at += 1
                if self.peek() == "::":
                    continue
                name = path[-1]
                if name == "self":
                    path.pop()
                    name = path[-1]
                if self.peek() == "as":
                    name = self.peek(1)
                    self.at += 2
                # Variants for features and functions beside types share a name.
                is_other = module.imports.get(name, (path,))[0] != path
                key = (name, line) if name == "_" or is_other else name
                module.imports[key] = (path, line, public)
                return


def read(path, module):
    """Reads a file into its module."""
    Reader(path.read_text(encoding="utf-8")).module(module)
