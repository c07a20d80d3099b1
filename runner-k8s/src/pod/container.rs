//! The containers: the helper first, then the services, and the build container last, since the kubelet starts them
//! in this order.

use k8s_openapi::api::core::v1::{
    Container, EnvFromSource, EnvVar, EnvVarSource, ExecAction, Lifecycle, LifecycleHandler, SecretEnvSource,
    SecretKeySelector, VolumeMount,
};
use runner_core::{Result, job::Variables};

use super::{BUILD, HELPER, PodPlan, convert, resources, security, text, volume::Layout};
use crate::{
    config::{ContainerLifecycle, ContainerSecurityContext},
    settings::{ContainerSettings, ServiceSettings, policy_name},
};

/// The agent in the helper image.
const HELPER_AGENT: &str = "/usr/bin/runner-agent";

/// The agent in the build container.
const BUILD_AGENT: &str = "/runner/agent";

/// The key of the job's first Secret under which a variable of the service at `index` is kept. `None`: the variable's
/// name is none that Kubernetes takes.
pub fn service_key(index: usize, variable: &str) -> Option<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let is_name =
        variable.bytes().all(is_letter) && !variable.starts_with(|letter: char| letter.is_ascii_digit());
    (is_name && !variable.is_empty() && variable.len() < 200).then(|| format!("svc-{index}.{variable}"))
}

pub(super) fn all(plan: &PodPlan<'_>, layout: &Layout) -> Result<Vec<Container>> {
    let mut containers = vec![helper(plan, layout)];
    for (index, settings) in plan.settings.services.iter().enumerate() {
        containers.push(service(plan, layout, (index, settings)));
    }
    containers.push(build(plan, layout)?);
    Ok(containers)
}

fn helper(plan: &PodPlan<'_>, layout: &Layout) -> Container {
    let context = &plan.config.helper_container_security_context;
    let mut container = container(plan, HELPER, (&plan.settings.helper, context), &layout.helper);
    container.command = Some(vec![HELPER_AGENT.into(), HELPER.into(), plan.attempt.to_string()]);
    // It holds the kubelet until the agent is where the build container is started with it.
    let exec = ExecAction { command: Some(vec![HELPER_AGENT.into(), "await".into()]) };
    let post_start = LifecycleHandler { exec: Some(exec), ..LifecycleHandler::default() };
    container.lifecycle = Some(Lifecycle { post_start: Some(post_start), ..Lifecycle::default() });
    container
}

fn build(plan: &PodPlan<'_>, layout: &Layout) -> Result<Container> {
    let settings = &plan.settings.build;
    let context = &plan.config.build_container_security_context;
    let mut container = container(plan, BUILD, (settings, context), &layout.build);
    let agent = vec![BUILD_AGENT.into(), BUILD.into()];
    let empties_entrypoint = plan
        .job
        .image
        .as_ref()
        .and_then(|image| image.entrypoint.as_ref())
        .is_some_and(|entrypoint| entrypoint.iter().all(String::is_empty));
    if plan.settings.honors_entrypoint && !empties_entrypoint {
        container.command = list(&settings.entrypoint);
        container.args = Some(agent);
    } else {
        container.command = Some(agent);
    }
    let lifecycle = &plan.config.container_lifecycle;
    if *lifecycle != ContainerLifecycle::default() {
        container.lifecycle = Some(convert("container_lifecycle", lifecycle)?);
    }
    Ok(container)
}

fn service(plan: &PodPlan<'_>, layout: &Layout, (index, settings): (usize, &ServiceSettings)) -> Container {
    let context = &plan.config.service_container_security_context;
    let name = format!("svc-{index}");
    let mut container = container(plan, &name, (&settings.container, context), &layout.service);
    container.command = list(&settings.container.entrypoint);
    container.args = list(&settings.command);
    let of_job = |name: &String| EnvFromSource {
        secret_ref: Some(SecretEnvSource { name: name.clone(), optional: None }),
        ..EnvFromSource::default()
    };
    container.env_from = plan.names.services_secret.as_ref().map(|name| vec![of_job(name)]);
    container.env = own_variables(plan, index, &settings.variables);
    container
}

/// The variables of one service, by reference: the pod holds no values.
fn own_variables(plan: &PodPlan<'_>, index: usize, variables: &Variables) -> Option<Vec<EnvVar>> {
    let secret = plan.names.secrets.first()?;
    let mut list: Vec<EnvVar> = Vec::new();
    for variable in &variables.0 {
        let Some(key) = service_key(index, &variable.key) else { continue };
        if list.iter().any(|known| known.name == variable.key) {
            continue;
        }
        let source = SecretKeySelector { key, name: secret.clone(), optional: None };
        let value_from = EnvVarSource { secret_key_ref: Some(source), ..EnvVarSource::default() };
        list.push(EnvVar { name: variable.key.clone(), value: None, value_from: Some(value_from) });
    }
    (!list.is_empty()).then_some(list)
}

fn container(
    plan: &PodPlan<'_>,
    name: &str,
    (settings, context): (&ContainerSettings, &ContainerSecurityContext),
    mounts: &[VolumeMount],
) -> Container {
    Container {
        name: name.to_owned(),
        image: text(&settings.image),
        image_pull_policy: settings.pull_policies.at(plan.pull).map(|policy| policy_name(policy).to_owned()),
        resources: resources(&settings.resources),
        security_context: Some(security::container(plan.config, context, settings)),
        volume_mounts: Some(mounts.to_vec()).filter(|mounts| !mounts.is_empty()),
        ..Container::default()
    }
}

fn list(texts: &[String]) -> Option<Vec<String>> {
    (!texts.is_empty()).then(|| texts.to_vec())
}
