//! Rust sources as the architecture test reads them: without comments, literals and test modules, and with every
//! path written out.

#![allow(unreachable_pub, reason = "a test file is a crate of its own")]

use std::{collections::BTreeSet, fs, path::Path};

/// A file of `src/`.
pub struct Source {
    /// Its path from `src/` on.
    pub name: String,
    /// As it is, without its test module.
    pub text: String,
    /// `text` with comments and the insides of literals blanked; the lines are the same.
    pub code: String,
}

impl Source {
    fn new(name: String, text: &str) -> Self {
        // Test modules stand at the end, and may do I/O.
        let tests = text.find("\nmod tests {").and_then(|tests| text[..tests].rfind("#[cfg(test)]"));
        let text = text[..tests.unwrap_or(text.len())].to_owned();
        let code = code_of(&text);
        Self { name, text, code }
    }

    /// The module of the library it belongs to; `lib` and `main` for those two.
    pub fn stage(&self) -> &str {
        let first = self.name.split('/').next().unwrap_or(&self.name);
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Whether it is the root of a module of the library.
    pub fn is_stage_root(&self) -> bool {
        let file_of_its_own = !self.name.contains('/') && !["lib.rs", "main.rs"].contains(&&*self.name);
        file_of_its_own || (self.name.matches('/').count() == 1 && self.name.ends_with("/mod.rs"))
    }

    /// Every path of two or more parts, and all imports with their braces resolved; `super::` and `self::` as
    /// `crate::…`.
    pub fn paths(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        let mut rest = self.code.as_str();
        while let Some(start) = rest.find(is_word) {
            rest = &rest[start..];
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word == "use" {
                let end = after.find(';').unwrap_or(after.len());
                let tree: String = after[..end].split_whitespace().collect::<Vec<_>>().join(" ");
                expand("", &tree, &mut paths);
                rest = &after[end..];
            } else {
                let end = rest.find(|c| !is_word(c) && c != ':').unwrap_or(rest.len());
                let path = rest[..end].trim_end_matches(':');
                if path.contains("::") {
                    paths.insert(path.to_owned());
                }
                rest = &rest[end..];
            }
        }
        paths.iter().map(|path| self.absolute(path)).collect()
    }

    fn absolute(&self, path: &str) -> String {
        let mut module: Vec<_> = self.name.trim_end_matches(".rs").split('/').collect();
        module.retain(|part| !["mod", "lib", "main"].contains(part));
        let mut rest = path.strip_prefix("self::").unwrap_or(path);
        if rest == path && !rest.starts_with("super::") {
            return path.to_owned();
        }
        while let Some(after) = rest.strip_prefix("super::") {
            module.pop();
            rest = after;
        }
        ["crate"].iter().chain(&module).chain([&rest]).copied().collect::<Vec<_>>().join("::")
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// `a::{b, c::{d}}` → `a::b`, `a::c::d`.
fn expand(prefix: &str, tree: &str, paths: &mut BTreeSet<String>) {
    let tree = tree.trim();
    let Some((head, inside)) = tree.split_once('{') else {
        let path = tree.split(" as ").next().unwrap_or(tree);
        paths.insert(format!("{prefix}{path}").trim_end_matches("::self").to_owned());
        return;
    };
    let inside = inside.trim_end().strip_suffix('}').unwrap_or(inside);
    let mut depth = 0;
    let parts = inside.split(|c| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    for part in parts.filter(|part| !part.trim().is_empty()) {
        expand(&format!("{prefix}{head}"), part, paths);
    }
}

/// Blanks comments, and what is inside string and character literals.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let skip = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => string_end(rest),
            'r' if !after_word && rest[1..].trim_start_matches('#').starts_with('"') => raw_string_end(rest),
            '\'' => character_end(rest),
            _ => 0,
        };
        if skip == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    code
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(index, _)| index + 1)
}

fn raw_string_end(text: &str) -> usize {
    let hashes = text[1..].find('"').unwrap_or(0);
    let close = format!("\"{}", "#".repeat(hashes));
    let open = hashes + 2;
    text[open..].find(&close).map_or(text.len(), |end| open + end + close.len())
}

/// 0 for a lifetime.
fn character_end(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(0, |end| 3 + end + 1),
        Some(_) => characters.next().filter(|(_, c)| *c == '\'').map_or(0, |(index, _)| index + 1),
        None => 0,
    }
}

/// Every file of `src/` but those that hold only tests.
pub fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") && !is_test {
                let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
                found.push(Source::new(name, &fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(found.iter().any(|source| source.name == "lib.rs"), "no sources in {}", root.display());
    found
}

#[test]
fn comments_and_literals_are_not_code() {
    let text = "a // std::fs\nb /* std::fs\n */ c \"std::\\\"fs\" d r#\"std\"::fs\"# e '\\'' f 'x' <'life> g";
    let code: Vec<_> = code_of(text).split_whitespace().map(str::to_owned).collect();
    assert_eq!(code, ["a", "b", "c", "d", "e", "f", "<'life>", "g"]);
    assert_eq!(code_of(text).lines().count(), text.lines().count());
}

#[test]
fn imports_and_paths_are_written_out() {
    let text = "use std::{fs, io::{self, Write as _}, };\nuse super::stage::X;\nfn f() { self::g(); a::b::<C>(d::e) }";
    let source = Source::new("packet/link.rs".to_owned(), text);
    let paths: Vec<_> = source.paths().into_iter().collect();
    let expected = [
        "a::b",
        "crate::packet::link::g",
        "crate::packet::stage::X",
        "d::e",
        "std::fs",
        "std::io",
        "std::io::Write",
    ];
    assert_eq!(paths, expected);
}
