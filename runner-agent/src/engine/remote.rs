//! The address of a repository, apart from its login.

use runner_core::Secret;

/// Where a repository is, and the login that its address held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// The address without a login.
    pub(crate) url: String,
    /// The login, where the address held one that git can be given otherwise.
    pub(crate) login: Option<Login>,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user's name.
    pub(crate) username: String,
    /// The password, or a token.
    pub(crate) password: Secret,
}

impl Remote {
    /// Takes the login out of `address`. Paths and addresses in ssh's short form (`git@host:path`) stay as they are;
    /// of an `ssh://` address only a password goes, because the user's name is a part of it.
    pub(crate) fn parse(address: &str) -> Self {
        let Some((scheme, rest)) = address.split_once("://") else {
            return Self { url: address.to_owned(), login: None };
        };
        let authority_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(authority_ends);
        let Some((user_info, host)) = authority.rsplit_once('@') else {
            return Self { url: address.to_owned(), login: None };
        };
        let (username, password) = user_info.split_once(':').unwrap_or((user_info, ""));
        if matches!(scheme, "ssh" | "git+ssh" | "ssh+git") {
            return Self { url: format!("{scheme}://{username}@{host}{path}"), login: None };
        }
        let login = Login { username: decoded(username), password: Secret::new(decoded(password)) };
        Self { url: format!("{scheme}://{host}{path}"), login: Some(login) }
    }

    /// Scheme and host, such as `https://gitlab.example.com:8443`; `None` where there is no host.
    pub(crate) fn origin(&self) -> Option<&str> {
        let (scheme, rest) = self.url.split_once("://")?;
        let host_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (origin, _) = self.url.split_at_checked(scheme.len() + 3 + host_ends)?;
        (host_ends > 0).then_some(origin)
    }

    /// Scheme, host and user as [`origin`](Self::origin) gives them, when it is reached by HTTP.
    pub(crate) fn http_origin(&self) -> Option<&str> {
        self.origin().filter(|origin| origin.starts_with("http://") || origin.starts_with("https://"))
    }

    /// The host, without a port.
    pub(crate) fn host(&self) -> Option<&str> {
        let (_, host) = self.http_origin()?.split_once("://")?;
        Some(host.split_once(':').map_or(host, |(name, _)| name))
    }
}

/// Replaces `%41` and the like.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.split_at_checked(2).filter(|_| byte == b'%');
        let value = digits.and_then(|(digits, more)| {
            let digits = std::str::from_utf8(digits).ok()?;
            Some((u8::from_str_radix(digits, 16).ok()?, more))
        });
        let (byte, after) = value.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_taken_out_of_an_address() {
        let check = |address: &str, url: &str, login: Option<(&str, &str)>| {
            let login = login.map(|(username, password)| Login {
                username: username.to_owned(),
                password: Secret::new(password),
            });
            assert_eq!(Remote::parse(address), Remote { url: url.to_owned(), login }, "{address}");
        };
        check(
            "https://ci:tok%40en@git.example:8443/a/b.git",
            "https://git.example:8443/a/b.git",
            Some(("ci", "tok@en")),
        );
        check("https://token@host/a", "https://host/a", Some(("token", "")));
        check("https://u:p@@host/a@b", "https://host/a@b", Some(("u", "p@")));
        check("https://host/a@b:c", "https://host/a@b:c", None);
        check("file://ci:secret@/tmp/a", "file:///tmp/a", Some(("ci", "secret")));
        check("git@host:a/b.git", "git@host:a/b.git", None);
        check("/tmp/a@b:c", "/tmp/a@b:c", None);
        check("ssh://git:secret@host/a", "ssh://git@host/a", None);
    }

    #[test]
    fn the_origin_is_scheme_and_host() {
        let remote = Remote::parse("https://ci:x@git.example:8443/a/b.git");
        assert_eq!(remote.http_origin(), Some("https://git.example:8443"));
        assert_eq!(remote.host(), Some("git.example"));
        assert_eq!(Remote::parse("file:///tmp").origin(), None);
        assert_eq!(Remote::parse("/tmp").origin(), None);
        assert_eq!(Remote::parse("ssh://git@h/a").http_origin(), None);
    }
}
