//! Which of the user's environment variables a job gets.
//!
//! A list of names that pass, not of names that do not. A job should do here what it does in CI, so nothing that only
//! this shell has may decide about it: `CI_…` and `GIT_…` of a hook or of an outer pipeline, `BASH_ENV`, `PYTHONPATH`,
//! what `cargo run` sets for its own child (`LD_LIBRARY_PATH` among it), or a token that makes a deployment work today and nowhere else. And a job
//! that prints its environment must not print the user's secrets, which nobody could mask. What passes is what a
//! person's tools need to be found and to reach the network. Anything else is given with `--variable NAME="$NAME"`.

/// Names that pass.
#[rustfmt::skip]
const NAMES: &[&str] = &[
    // Who and where.
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "HOSTNAME",
    // How to reach the network.
    "http_proxy",
    "https_proxy",
    "ftp_proxy",
    "no_proxy",
    "all_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "CARGO_HTTP_CAINFO",
    "SSH_AUTH_SOCK",
    // Where package managers have put things.
    
    
    "NIX_PATH",
    "NIX_PROFILES",
    "NIX_SSL_CERT_FILE",
    "LOCALE_ARCHIVE",
    "HOMEBREW_PREFIX",
    "PKG_CONFIG_PATH",
    // Where tool chains are, and where they get packages from.
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_DIST_SERVER",
    "RUSTUP_UPDATE_ROOT",
    "GOROOT",
    "GOPATH",
    "GOBIN",
    "GOPROXY",
    "GONOPROXY",
    "GOPRIVATE",
    "GONOSUMDB",
    "GOSUMDB",
    "GOFLAGS",
    "GOTOOLCHAIN",
    "GOCACHE",
    "GOMODCACHE",
    "VIRTUAL_ENV",
    "PYENV_ROOT",
    "PYENV_VERSION",
    "CONDA_PREFIX",
    "CONDA_DEFAULT_ENV",
    "CONDA_EXE",
    "PIP_CONFIG_FILE",
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_CACHE_DIR",
    "PIP_FIND_LINKS",
    "PIP_NO_INDEX",
    "PIP_TRUSTED_HOST",
    "UV_INDEX_URL",
    "UV_CACHE_DIR",
    "NODE_PATH",
    "NVM_DIR",
    "NVM_BIN",
    "VOLTA_HOME",
    "PNPM_HOME",
    "COREPACK_HOME",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "NPM_CONFIG_USERCONFIG",
    "JAVA_HOME",
    "JDK_HOME",
    "M2_HOME",
    "MAVEN_HOME",
    "GRADLE_HOME",
    "GRADLE_USER_HOME",
    "SDKMAN_DIR",
    "ANDROID_HOME",
    "ANDROID_SDK_ROOT",
    "GEM_HOME",
    "GEM_PATH",
    "RBENV_ROOT",
    "ASDF_DIR",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
    "DOTNET_ROOT",
    "COMPOSER_HOME",
    "CCACHE_DIR",
    "SCCACHE_DIR",
    // Which daemon or cluster a person talks to.
    "DOCKER_HOST",
    "DOCKER_CONFIG",
    "DOCKER_CONTEXT",
    "CONTAINER_HOST",
    "KUBECONFIG",
];

/// Beginnings of names that pass.
const PREFIXES: &[&str] = &["LC_", "XDG_"];

/// What of the user's environment a job gets. Values that are not UTF-8 are left out.
pub(crate) fn for_jobs(
    environment: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Vec<(String, String)> {
    let passes = |name: &str| NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    environment.into_iter().filter_map(text).filter(|(name, _)| passes(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_found_and_secrets_stay() {
        let all = [
            "PATH",
            "LC_ALL",
            "GOPROXY",
            "GITHUB_TOKEN",
            "CI_JOB_TOKEN",
            "GIT_DIR",
            "CARGO_MANIFEST_DIR",
            "RUSTUP_TOOLCHAIN",
            "AWS_SECRET_ACCESS_KEY",
            "BASH_ENV",
        ];
        let passed = for_jobs(all.map(|name| (name.into(), "value".into())));
        let names: Vec<_> = passed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["PATH", "LC_ALL", "GOPROXY"]);
    }
}
