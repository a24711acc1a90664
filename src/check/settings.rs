//! Whether what was set is read.

use super::Finding;

/// One finding for each of the variables `unknown`, which begin as settings do and are none.
pub fn findings(unknown: &[String]) -> Vec<Finding> {
    let told = unknown.iter().map(|name| {
        Finding::warn(
            "settings",
            format!("the environment has {name}, which is no setting and changes nothing"),
            "see --help for the names; what --no-… switches off has the name without it, and the value false",
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Status;

    #[test]
    fn each_variable_that_is_no_setting_is_named() {
        let unknown = ["DBWIRE_A", "DBWIRE_B"].map(str::to_owned);
        let found = findings(&unknown);
        assert!(found.iter().zip(&unknown).all(|(finding, name)| finding.what.contains(name)), "{found:?}");
        assert!(found.iter().all(|finding| finding.status == Status::Warn));
        assert!(findings(&[]).is_empty());
    }
}
