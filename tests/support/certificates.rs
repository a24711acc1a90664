//! An authority and what it signs, made by openssl.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::children::{command, output};

/// A folder with `ca.crt`, and a `.crt` and a `.key` for each certificate made.
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// A new one, with its own key.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("dbwire-web-").expect("a temporary folder");
        let made = Self { folder };
        made.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=test CA",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ]);
        made
    }

    /// Signs a certificate `name` for `names`, as `subjectAltName` has them: `DNS:localhost,IP:127.0.0.1`.
    pub fn sign(&self, name: &str, names: &str) {
        let extensions = format!("subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n");
        fs::write(self.path(&format!("{name}.ext")), extensions).unwrap();
        let (key, request, certificate) =
            (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
        self.openssl(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-subj",
            &format!("/CN={name}"),
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            &format!("{name}.ext"),
            "-out",
            &certificate,
        ]);
    }

    /// A file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into its folder, as careful programs do: under another name first.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let (path, draft) = (self.path(name), self.path(&format!("{name}.new")));
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, &path).unwrap();
        path
    }

    fn openssl(&self, arguments: &[&str]) {
        let folder: &Path = self.folder.path();
        output(command("openssl").args(arguments).current_dir(folder));
    }
}
