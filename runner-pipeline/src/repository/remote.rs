//! The address of a remote, as far as it tells where a project has its home.

use std::path::Path;

/// Where a project has its home. A login in the address is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// `https` or `http`; `https` for what is reached by SSH.
    pub scheme: String,
    /// The host; empty for a path on this machine.
    pub host: String,
    /// The port of `scheme`, where the address has one.
    pub port: Option<u16>,
    /// The path of the project, such as `group/project`, without slashes around it and without `.git`.
    pub path: String,
}

impl Remote {
    /// Reads an address in any form that git takes.
    pub fn parse(address: &str) -> Self {
        let address = address.trim();
        let Some((scheme, rest)) = address.split_once("://") else { return Self::parse_short(address) };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if scheme == "file" {
            return Self::local(path);
        }
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = split_port(authority);
        let is_web = matches!(scheme, "http" | "https");
        Self {
            scheme: if scheme == "http" { "http" } else { "https" }.to_owned(),
            host: host.to_owned(),
            port: port.filter(|_| is_web),
            path: clean(path),
        }
    }

    /// `user@host:path`, or a path.
    fn parse_short(address: &str) -> Self {
        match address.split_once(':') {
            Some((host, path)) if !host.contains('/') => Self {
                scheme: "https".to_owned(),
                host: host.rsplit_once('@').map_or(host, |(_, host)| host).to_owned(),
                port: None,
                path: clean(path),
            },
            _ => Self::local(address),
        }
    }

    fn local(path: &str) -> Self {
        let path = clean(path);
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Self { scheme: "https".to_owned(), path: name, ..Self::default() }
    }

    /// The address of the server, such as `https://gitlab.example.com:8443`; `None` for a path on this machine.
    pub fn server(&self) -> Option<String> {
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        (!self.host.is_empty()).then(|| format!("{}://{}{port}", self.scheme, self.host))
    }
}

/// Whether `address` is a path that means something only within one directory.
pub(super) fn is_relative(address: &str) -> bool {
    let is_short = address.split_once(':').is_some_and(|(host, _)| !host.contains('/'));
    !is_short && Path::new(address).is_relative()
}

fn split_port(authority: &str) -> (&str, Option<u16>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => (authority, None),
        },
        _ => (authority, None),
    }
}

fn clean(path: &str) -> String {
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    path.trim_end_matches('/').trim_start_matches('~').trim_start_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, server: Option<&str>, path: &str) {
        let remote = Remote::parse(address);
        assert_eq!((remote.server().as_deref(), remote.path.as_str()), (server, path), "{address}");
    }

    #[test]
    fn every_form_of_address_is_understood_and_loses_its_login() {
        check("https://gitlab.com/group/sub/project.git", Some("https://gitlab.com"), "group/sub/project");
        check("https://user:secret@gitlab.com/a/b", Some("https://gitlab.com"), "a/b");
        check("https://oauth2:a@b@gitlab.com/a/b/", Some("https://gitlab.com"), "a/b");
        check("http://host:8080/a/b.git", Some("http://host:8080"), "a/b");
        check("git@gitlab.com:group/project.git", Some("https://gitlab.com"), "group/project");
        check("gitlab:group/project", Some("https://gitlab"), "group/project");
        check("ssh://git@host:2222/group/project.git", Some("https://host"), "group/project");
        check("/srv/git/project.git", None, "project");
        check("../project", None, "project");
        check("file:///srv/git/project.git/", None, "project");
        check("https://[::1]/a/b", Some("https://[::1]"), "a/b");
        check("", None, "");
    }

    #[test]
    fn only_a_path_without_a_top_is_relative() {
        for address in ["", "../project", "project.git", "./a:b"] {
            assert!(is_relative(address), "{address}");
        }
        for address in ["/srv/project", "file:///srv/project", "https://host/a/b", "host:a/b", "git@host:a"] {
            assert!(!is_relative(address), "{address}");
        }
    }
}
