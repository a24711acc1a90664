//! A unit file, read.

use std::{collections::BTreeMap, fs, path::Path};

/// The `[Service]` section of a unit.
#[derive(Debug)]
pub(crate) struct Unit {
    /// Values by key, in the order of the file: a key may come more than once.
    keys: BTreeMap<String, Vec<String>>,
}

impl Unit {
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    /// The grammar is systemd.syntax(7)'s, less continued lines and quotes.
    fn parse(text: &str) -> Self {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut section = "";
        for line in
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
        {
            assert!(!line.ends_with('\\') && !line.contains('"'), "not known to this test: {line}");
            match line.split_once('=') {
                None => section = line,
                Some((key, value)) if section == "[Service]" => {
                    keys.entry(key.to_owned()).or_default().push(value.to_owned());
                }
                Some(_) => {}
            }
        }
        Self { keys }
    }

    /// Every key with its values.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.keys.iter().map(|(key, values)| (key.as_str(), values.as_slice()))
    }

    /// The value of a key that comes once.
    pub(crate) fn value(&self, key: &str) -> &str {
        let values = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        assert_eq!(values.len(), 1, "{key} comes {} times", values.len());
        &values[0]
    }
}

/// A size of systemd's: `256M`.
pub(crate) fn size(text: &str) -> u64 {
    let (digits, unit) = text.split_at(text.trim_end_matches(['K', 'M', 'G']).len());
    let factor = match unit {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        other => panic!("{other} is no unit"),
    };
    digits.parse::<u64>().expect("a number") * factor
}

#[test]
fn a_unit_is_read_by_section_with_every_value_of_a_key() {
    let unit = Unit::parse("[Unit]\nA=1\n[Service]\n# A=2\nA=3\nB=x y\nA=4\n[Install]\nA=5\n");
    let keys: Vec<_> = unit.keys().map(|(key, values)| format!("{key} {values:?}")).collect();
    assert_eq!(keys, [r#"A ["3", "4"]"#, r#"B ["x y"]"#]);
    assert_eq!((unit.value("B"), size("256M"), size("10")), ("x y", 256 << 20, 10));
}
