//! A canary in every literal position of many statements must not be seen in their texts.

use crate::{
    forms::{FORMS, literals},
    text,
};

const CANARY: &str = "canary";

#[test]
fn a_string_in_any_position_is_never_seen() {
    assert!(FORMS.len() >= 60);
    let mut seen = 0;
    for form in FORMS {
        for canary in [CANARY.to_owned(), CANARY.to_uppercase()] {
            for literal in literals(&canary) {
                for sql in [form.replace("{}", &literal), form.to_uppercase().replace("{}", &literal)] {
                    let Some(text) = text(sql.as_bytes()) else { continue };
                    seen += 1;
                    assert!(!text.to_lowercase().contains(CANARY), "{sql}\n{text}");
                }
            }
        }
    }
    assert!(seen > FORMS.len() * 70, "only {seen} statements had a text");
}

#[test]
fn the_digits_of_a_number_in_any_form_and_position_are_never_seen() {
    let numbers = [
        "0xCAFEBABE",
        "0xcafebabe",
        "X'CAFEBABE'",
        "x'cafebabe'",
        "0b1011",
        "B'1011'",
        "98765",
        "9.8765E4",
        "9.8765e-4",
        "-98765",
        ".98765",
        "98765.",
        "_binary 0xCAFEBABE",
        "_utf8 X'CAFEBABE'",
        "9CAFEBABE",
    ];
    for form in FORMS {
        for number in numbers {
            let sql = form.replace("{}", number);
            let Some(text) = text(sql.as_bytes()) else { panic!("no text: {sql}") };
            assert!(!text.to_lowercase().contains("cafe"), "{sql}\n{text}");
            assert!(!text.contains(|c: char| c.is_ascii_digit()), "{sql}\n{text}");
        }
    }
}

#[test]
fn a_statement_cut_in_the_middle_of_a_literal_does_not_show_it() {
    let mut normalizer = dbwire_exporter::digest::Normalizer::new();
    for form in FORMS {
        let sql = form.replace("{}", &format!("'{CANARY}'"));
        for end in 0..sql.len() {
            let cut = &sql.as_bytes()[..end];
            let digest = normalizer.digest(cut, false, dbwire_exporter::digest::Escapes::Backslash);
            if let Some(shape) = digest.shape {
                assert!(!shape.text.contains("can"), "{}", cut.escape_ascii());
            }
        }
    }
}
