//! Images, services, and their options for one executor.

use runner_core::{
    Result,
    job::{Image, PullPolicy, Service, Variables},
};

use super::{
    lenient::{Text, unsupported},
    read_variables, wire,
};

/// The image of a job; `None` where it names none.
pub(super) fn of_job(image: Option<wire::Image>, executor: &str) -> Result<Option<Image>> {
    image.filter(|image| !image.name.is_empty()).map(|image| read(image, executor)).transpose()
}

fn read(image: wire::Image, executor: &str) -> Result<Image> {
    let wire::ExecutorOptions { docker, kubernetes } = image.executor_opts;
    // Each executor has a user of its own: one knows names, the other only numbers.
    let Text(user) = if executor == "kubernetes" { kubernetes.user } else { docker.user };
    Ok(Image {
        name: image.name,
        entrypoint: image.entrypoint.filter(|entrypoint| !entrypoint.is_empty()),
        pull_policies: image.pull_policy.0.iter().map(|policy| pull_policy(policy)).collect::<Result<_>>()?,
        user: (!user.is_empty()).then_some(user),
        platform: (!docker.platform.is_empty()).then_some(docker.platform),
    })
}

fn pull_policy(written: &str) -> Result<PullPolicy> {
    match written {
        "always" => Ok(PullPolicy::Always),
        "if-not-present" => Ok(PullPolicy::IfNotPresent),
        "never" => Ok(PullPolicy::Never),
        other => Err(unsupported(format_args!("`pull_policy: {other}`"))),
    }
}

pub(super) fn service(service: wire::Service, executor: &str) -> Result<Service> {
    // One text holds all names.
    let aliases = service.alias.split([' ', ',']).filter(|alias| !alias.is_empty());
    Ok(Service {
        aliases: aliases.map(str::to_owned).collect(),
        command: service.command.map(|command| command.0).filter(|command| !command.is_empty()),
        variables: Variables(read_variables(service.variables)),
        image: read(service.image, executor)?,
    })
}
