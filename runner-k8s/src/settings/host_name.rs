//! Names by which services are reachable.

/// Whether a text is a name of the DNS: labels of letters, digits and hyphens.
pub(crate) fn is_dns_name(name: &str) -> bool {
    let is_inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.iter().all(is_inner) && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// The names that are made of an image's name: without tag, digest and port, its slashes as two underscores or as
/// one hyphen. What is no name of the DNS is left out.
pub(super) fn of_image(image: &str) -> Vec<String> {
    let (repository, _) = super::image::split_reference(image);
    let (host, path) = repository.split_once('/').unwrap_or((repository, ""));
    let (host, _) = host.split_once(':').unwrap_or((host, ""));
    let whole = if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") };
    let mut names = vec![whole.replace('/', "__"), whole.replace('/', "-")];
    names.dedup();
    names.retain(|name| is_dns_name(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_gives_the_names_that_gitlab_runner_makes() {
        assert_eq!(of_image("postgres"), ["postgres"]);
        assert_eq!(of_image("postgres:16-alpine"), ["postgres"]);
        assert_eq!(of_image("redis@sha256:0123"), ["redis"]);
        assert_eq!(of_image("team/mysql:8"), ["team-mysql"]);
        assert_eq!(
            of_image("registry.example.com:5000/team/db:1@sha256:0123"),
            ["registry.example.com-team-db"]
        );
        assert!(of_image("my_image").is_empty());
    }
}
