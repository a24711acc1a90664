//! The documentation that the program carries, so that it fits the version that runs, wherever that is.

/// A document, in Markdown.
#[derive(Debug, PartialEq, Eq)]
pub struct Doc {
    /// What links call it.
    pub title: &'static str,
    /// Its file's name in `docs/`.
    name: &'static str,
    /// Its text.
    pub text: &'static str,
}

impl Doc {
    /// Every document.
    pub const ALL: &[Self] = &[
        Self { title: "Read me", name: "README.md", text: include_str!("../../README.md") },
        Self { title: "Series", name: "metrics.md", text: include_str!("../../docs/metrics.md") },
        Self { title: "Limits", name: "limits.md", text: include_str!("../../docs/limits.md") },
        Self { title: "API", name: "api.md", text: include_str!("../../docs/api.md") },
        Self { title: "Web", name: "web.md", text: include_str!("../../docs/web.md") },
    ];

    /// The document at `path`, which begins with `/`.
    pub fn at(path: &str) -> Option<&'static Self> {
        let name = path.strip_prefix("/docs/")?;
        Self::ALL.iter().find(|doc| doc.name == name)
    }

    /// Where it is, relative to the page.
    pub fn path(&self) -> String {
        format!("docs/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_found_at_its_path_and_nothing_else_is() {
        for doc in Doc::ALL {
            assert_eq!(Doc::at(&format!("/{}", doc.path())), Some(doc));
        }
        for path in ["/docs/", "/docs/no.md", "/docs/../README.md", "/README.md", "docs/api.md"] {
            assert_eq!(Doc::at(path), None, "{path}");
        }
    }
}
