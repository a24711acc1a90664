//! Writes the manual page and the shells' completions into a folder, from the flags as they are: what packages ship.
//!
//! `cargo run --example assets -- target/assets`

#![allow(clippy::disallowed_methods, reason = "writes files")]

use std::{env, fs, io, path::Path};

use clap::CommandFactory as _;
use clap_complete::{Shell, generate_to};
use dbwire_exporter::cli::Cli;

fn main() -> io::Result<()> {
    let folder = env::args_os().nth(1).ok_or_else(|| io::Error::other("usage: assets FOLDER"))?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let mut command = Cli::command();
    clap_mangen::generate_to(command.clone(), folder)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut command, "dbwire_exporter", folder)?;
    }
    Ok(())
}
