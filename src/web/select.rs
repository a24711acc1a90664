//! `?collect[]=…` and `?exclude[]=…`: which collectors a page is to have, as node_exporter takes them.

use thiserror::Error;

/// Which of the collectors that are switched on are asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// All.
    #[default]
    All,
    /// These.
    Only(Vec<String>),
    /// All but these.
    Except(Vec<String>),
}

/// Why a query makes no sense (status 400).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// Both ways at once.
    #[error("combined collect and exclude queries are not allowed")]
    Both,
    /// No such collector, or it is switched off.
    #[error("no such collector, or not enabled: {0}")]
    Unknown(String),
}

impl Selection {
    /// Reads the query of a URI, without its `?`; `enabled` are the collectors there are. Other parameters are passed
    /// over.
    ///
    /// # Errors
    /// If collectors are both collected and excluded, or one is not among `enabled`.
    pub fn parse(query: &str, enabled: &[&str]) -> Result<Self, SelectError> {
        let named = |parameter: &str| -> Vec<String> {
            let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == parameter);
            pairs.map(|(_, value)| value.into_owned()).collect()
        };
        let (collect, exclude) = (named("collect[]"), named("exclude[]"));
        if let Some(unknown) = collect.iter().chain(&exclude).find(|name| !enabled.contains(&name.as_str())) {
            return Err(SelectError::Unknown(unknown.clone()));
        }
        match (collect.is_empty(), exclude.is_empty()) {
            (true, true) => Ok(Self::All),
            (false, true) => Ok(Self::Only(collect)),
            (true, false) => Ok(Self::Except(exclude)),
            (false, false) => Err(SelectError::Both),
        }
    }

    /// Whether `collector` is to be asked.
    pub fn includes(&self, collector: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == collector),
            Self::Except(names) => !names.iter().any(|name| name == collector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_selects_collectors() {
        let only = |name: &str| Ok(Selection::Only(vec![name.to_owned()]));
        let unknown = |name: &str| Err(SelectError::Unknown(name.to_owned()));
        let cases = [
            ("", Ok(Selection::All)),
            ("a=b&c", Ok(Selection::All)),
            ("collect[]=sockets", only("sockets")),
            ("collect%5B%5D=sockets", only("sockets")),
            ("x=1&collect[]=mysql&y", only("mysql")),
            ("exclude[]=mysql", Ok(Selection::Except(vec!["mysql".to_owned()]))),
            ("collect[]=sockets&exclude[]=mysql", Err(SelectError::Both)),
            ("collect[]=cpu", unknown("cpu")),
            ("exclude[]=", unknown("")),
            ("collect[]=%ff", unknown("\u{fffd}")),
        ];
        for (query, expected) in cases {
            assert_eq!(Selection::parse(query, &["sockets", "mysql"]), expected, "{query:?}");
        }
    }

    #[test]
    fn a_selection_includes_what_it_names_or_all_else() {
        let both = |selection: &Selection| ["sockets", "mysql"].map(|name| selection.includes(name));
        let names = || vec!["mysql".to_owned()];
        assert_eq!(both(&Selection::All), [true, true]);
        assert_eq!(both(&Selection::Only(names())), [false, true]);
        assert_eq!(both(&Selection::Except(names())), [true, false]);
    }
}
