use super::*;
use crate::status;

fn page(status: &Status) -> String {
    html(&Routes::new("/numbers"), status)
}

/// What is between the tags, without the script and the style.
fn words(html: &str) -> String {
    let html = html.replace(STYLE, "").replace(SCRIPT, "");
    let text: Vec<_> =
        html.split(['<', '>']).skip(2).step_by(2).flat_map(str::split_ascii_whitespace).collect();
    text.join(" ")
}

#[test]
fn it_tells_the_counts_without_a_script() {
    let page = page(&status::tests::status());
    let words = words(&page);
    for expected in [
        "Working. TCP sockets are counted by netlink.",
        "≈\u{202f}32 since the start",
        "select 32 25.0\u{202f}ms",
        "1213 40001 4",
        "select 20.0\u{202f}ms 40.0\u{202f}ms –",
        "established 12",
        "time wait 3",
        "[::]:3306 3 80",
        "One connection in 2 is decoded.",
        "999 seen · 1 lost",
        NO_P95,
    ] {
        assert!(words.contains(expected), "{expected:?} is not in {words}");
    }
    assert!(page.contains(r#"href="numbers""#));
}

#[test]
fn nothing_that_was_on_the_wire_is_taken_for_html() {
    let page = page(&status::tests::status());
    assert!(page.contains("<code>select &#60;b&#62;&#38;&#34;&#39;</code>"), "{page}");
    assert!(!page.replace(SCRIPT, "").contains("<b>"));
}

#[test]
fn it_says_why_there_is_nothing_to_see() {
    let mut status = status::tests::status();
    let mut say = |change: &dyn Fn(&mut Status)| {
        change(&mut status);
        words(&page(&status))
    };
    let mysql = |status: &mut Status| status.mysql.as_mut().unwrap().traffic = None;
    assert!(say(&mysql).contains("No statement yet."));
    let words = say(&|status| status.mysql.as_mut().unwrap().note = Some("Is port <3306> right?".to_owned()));
    assert!(words.contains("Is port &#60;3306&#62; right?"), "{words}");
    let words = say(&|status| status.mysql.as_mut().unwrap().error = Some("no permission".to_owned()));
    assert!(words.contains("MySQL is not captured: no permission."), "{words}");
    let words = say(&|status| status.mysql = None);
    assert!(words.contains("MySQL is not captured: --no-collector.mysql."), "{words}");
    let words = say(&|status| status.sockets.as_mut().unwrap()[0].reading = None);
    assert!(words.contains("Not counted yet."), "{words}");
    assert!(
        say(&|status| status.sockets = None).contains("Sockets are not counted: --no-collector.sockets.")
    );
}

#[test]
fn style_and_script_are_the_ones_that_the_policy_allows() {
    let page = page(&status::tests::status());
    for (tag, part) in [("style", STYLE), ("script", SCRIPT)] {
        let content = page.split_once(&format!("<{tag}>")).unwrap().1;
        let content = content.split_once(&format!("</{tag}>")).unwrap().0;
        assert!(content == part, "{tag}");
        let hash = BASE64_STANDARD.encode(Sha256::digest(content));
        assert!(SECURITY_POLICY.to_str().unwrap().contains(&format!("{tag}-src 'sha256-{hash}'")), "{tag}");
    }
    assert!(!page.replace(SCRIPT, "").contains(" style="));
    let elsewhere = page
        .match_indices("//")
        .filter(|(at, _)| page[..*at].ends_with("http:") || page[..*at].ends_with("https:"));
    let elsewhere: Vec<_> = elsewhere
        .map(|(at, _)| &page[at..at + 30])
        .filter(|url| !url.starts_with("//www.w3.org/2000/svg"))
        .collect();
    assert_eq!(elsewhere, [""; 0], "it refers to nothing outside itself");
}
