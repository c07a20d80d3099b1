//! How a server of the config is reached: what its files of TLS hold, and the proxies that the environment names.

use std::path::{Path, PathBuf};

use runner_config::registration::Server;
use runner_core::{Error, ErrorKind, Result, Secret};
use runner_gitlab::{Connection, Identity, Proxies};

use crate::cli::accounts::Variables;

/// The connection to `server`, for a config in `folder`.
///
/// Where the config names no file of TLS, those for the host in `certs/` beside it are taken, as GitLab Runner does:
/// `<host>.crt` holds the authorities, `<host>.auth.crt` and `<host>.auth.key` are what is shown to the server. Blocks for
/// as long as the files take.
///
/// # Errors
/// A file cannot be read.
pub(crate) fn connection(server: &Server, folder: &Path, variables: &Variables) -> Result<Connection> {
    let named = |file: &Option<String>| file.as_ref().map(|file| folder.join(file));
    let usual = |ending: &str| {
        let path = folder.join("certs").join(format!("{}{ending}", host(&server.url)));
        path.exists().then_some(path)
    };
    let certificate = named(&server.tls.cert_file).or_else(|| usual(".auth.crt"));
    let key = named(&server.tls.key_file).or_else(|| usual(".auth.key"));
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => {
            Some(Identity { certificate: read(&certificate)?, key: Secret::new(read(&key)?) })
        }
        _ => None,
    };
    let ca = named(&server.tls.ca_file).or_else(|| usual(".crt"));
    let ca = ca.as_ref().map(read).transpose()?;
    Ok(Connection { ca, identity, proxies: proxies(variables), ..Connection::new(&server.url) })
}

fn read(path: &PathBuf) -> Result<String> {
    fs_err::read_to_string(path)
        .map_err(|cause| Error::new(ErrorKind::Invalid, "read a file of TLS").because(cause))
}

/// The host of an address, without login and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(host, _)| host),
    }
}

/// The variables that programs share, in either case.
fn proxies(variables: &Variables) -> Proxies {
    let value = |names: [&str; 2]| {
        let mut values = names.iter().filter_map(|name| variables.get(*name));
        values.find(|value| !value.is_empty()).cloned()
    };
    Proxies {
        http: value(["HTTP_PROXY", "http_proxy"]).map(Secret::new),
        https: value(["HTTPS_PROXY", "https_proxy"]).map(Secret::new),
        except: value(["NO_PROXY", "no_proxy"]),
    }
}

#[cfg(test)]
mod tests {
    use runner_config::config::Tls;

    use super::*;

    #[test]
    fn files_beside_the_config_are_taken_where_it_names_none() {
        let folder = tempfile::tempdir().unwrap();
        let certs = folder.path().join("certs");
        fs_err::create_dir(&certs).unwrap();
        for (name, text) in
            [("g.example.crt", "ca"), ("g.example.auth.crt", "mine"), ("g.example.auth.key", "k")]
        {
            fs_err::write(certs.join(name), text).unwrap();
        }
        fs_err::write(folder.path().join("own.pem"), "own").unwrap();
        let of = |url: &str, ca_file: Option<&str>| {
            let tls = Tls { ca_file: ca_file.map(ToOwned::to_owned), ..Tls::default() };
            connection(&Server { url: url.into(), tls }, folder.path(), &Variables::new())
        };
        let usual = of("https://me@g.example:8443/gitlab", None).unwrap();
        assert_eq!((usual.ca.as_deref(), usual.identity.unwrap().certificate), (Some("ca"), "mine".into()));
        assert_eq!(of("https://g.example", Some("own.pem")).unwrap().ca.as_deref(), Some("own"));
        let other = of("https://other.example", None).unwrap();
        assert_eq!((other.ca, other.identity), (None, None));
        let error = of("https://g.example", Some("missing.pem")).unwrap_err();
        assert!(error.kind() == ErrorKind::Invalid && error.chain().contains("missing.pem"), "{error:?}");
    }

    #[test]
    fn a_host_is_found_in_any_address() {
        for (url, expected) in
            [("https://[::1]:80/a", "::1"), ("http://a.b", "a.b"), ("https://u:p@a:1?x", "a")]
        {
            assert_eq!(host(url), expected);
        }
    }

    #[test]
    fn proxies_are_those_of_the_environment() {
        let variables = [("HTTPS_PROXY", ""), ("https_proxy", "http://p:1"), ("NO_PROXY", "a")];
        let found = proxies(&variables.map(|(name, value)| (name.into(), value.into())).into());
        let https = found.https.as_ref().map(Secret::expose);
        assert_eq!(
            (https, found.http.is_none(), found.except.as_deref()),
            (Some("http://p:1"), true, Some("a"))
        );
    }
}
