//! A pod of the config that the API server judges and does not keep: it tells what no right to look would.

use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::{Api, api::PostParams, core::Status};
use runner_core::{
    Finding, JobSpec, Result, Severity,
    job::{Image, Step},
};
use tokio::time::timeout;

use super::{Look, PATIENCE, chain, fatal, note};
use crate::{
    config::KubernetesConfig,
    executor::KubernetesSettings,
    pod::{PodNames, PodPlan, pod_for},
    settings::JobSettings,
    status::{Refusal, WaitCause, refusal},
};

/// The server tells the first trouble alone: that often one is taken out of the pod, and it is asked again.
const MOST_TRIES: usize = 5;

/// What a pod came to.
#[derive(Debug, Default)]
pub(super) struct Probed {
    pub(super) findings: Vec<Finding>,
    pub(super) has_no_namespace: bool,
}

/// Lets the server judge a pod of the config.
pub(super) async fn pod(look: &Look<'_>, settings: &KubernetesSettings) -> Probed {
    let mut probed = Probed::default();
    let mut pod = match sample(settings) {
        Ok(pod) => pod,
        Err(error) => {
            let text = format!("no pod can be made of the config: failed to {}", error.chain());
            probed.findings.push(fatal(text, "correct it in [runners.kubernetes]"));
            return probed;
        }
    };
    let pods: Api<Pod> = Api::namespaced(look.client.clone(), look.namespace);
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    for _ in 0..MOST_TRIES {
        let status = match timeout(PATIENCE, pods.create(&parameters, &pod)).await {
            Ok(Ok(_)) => break,
            Ok(Err(kube::Error::Api(status))) => status,
            Ok(Err(error)) => {
                probed.findings.push(untold(&chain(&error)));
                break;
            }
            Err(_) => {
                probed.findings.push(untold("no answer in time"));
                break;
            }
        };
        let spec = pod.spec.get_or_insert_default();
        let judged = judge(&status, spec, look.namespace);
        probed.has_no_namespace |= judged.refusal == Refusal::NoNamespace;
        probed.findings.extend(judged.finding);
        if !take_out(judged.refusal, spec) {
            break;
        }
    }
    probed
}

struct Judged {
    refusal: Refusal,
    finding: Option<Finding>,
}

fn judge(status: &Status, spec: &PodSpec, namespace: &str) -> Judged {
    let waiting = refusal(status);
    let WaitCause::Refused(refusal) = waiting.cause else {
        return Judged { refusal: Refusal::Other, finding: Some(untold(&waiting.line)) };
    };
    let name = |name: &Option<String>| name.clone().unwrap_or_else(|| "default".to_owned());
    let finding = match refusal {
        // It is told with the rule already.
        Refusal::Role => None,
        Refusal::NoNamespace => Some(no_namespace(namespace)),
        _ if status.message.contains("dry run") || status.message.contains("dryRun") => {
            Some(untold(&status.message))
        }
        Refusal::NoServiceAccount => {
            let account = name(&spec.service_account_name);
            Some(fatal(
                format!("the service account {account} is not in namespace {namespace}"),
                format!("kubectl create serviceaccount {account} --namespace {namespace}"),
            ))
        }
        Refusal::NoPriorityClass => {
            let class = name(&spec.priority_class_name);
            Some(fatal(
                waiting.line,
                format!("kubectl create priorityclass {class} --value=0, or change `priority_class_name`"),
            ))
        }
        Refusal::NoRuntimeClass => {
            let class = name(&spec.runtime_class_name);
            Some(fatal(
                waiting.line,
                format!("make the runtime class {class}, or change `runtime_class_name`"),
            ))
        }
        Refusal::PodSecurity => Some(fatal(
            waiting.line,
            format!(
                "change what it names in [runners.kubernetes], or: kubectl label --overwrite namespace {namespace} \
                 pod-security.kubernetes.io/enforce=privileged"
            ),
        )),
        Refusal::NamespaceEnds => Some(fatal(
            format!("the namespace {namespace} is being deleted"),
            "wait for it, and make it again",
        )),
        Refusal::Busy | Refusal::Exists | Refusal::Unauthorized => Some(untold(&waiting.line)),
        // A job may ask for other resources or another image, and a quota may have room later.
        _ => Some(Finding {
            severity: Severity::Warning,
            message: format!("a pod of this config would be refused now: {}", waiting.line),
            mend: "change what it names in the namespace or in [runners.kubernetes]".into(),
        }),
    };
    Judged { refusal, finding }
}

pub(super) fn no_namespace(namespace: &str) -> Finding {
    fatal(
        format!("the namespace {namespace} does not exist"),
        format!("kubectl create namespace {namespace}"),
    )
}

fn untold(reason: &str) -> Finding {
    note(
        format!(
            "the cluster does not say whether a pod of this config can be (its service account, its priority class and \
             its like): {reason}"
        ),
        "nothing need be done: jobs say what is missing",
    )
}

/// Takes out what the server refused. Returns whether there is anything left to ask.
fn take_out(refusal: Refusal, spec: &mut PodSpec) -> bool {
    let refused = match refusal {
        Refusal::NoServiceAccount => &mut spec.service_account_name,
        Refusal::NoPriorityClass => &mut spec.priority_class_name,
        Refusal::NoRuntimeClass => &mut spec.runtime_class_name,
        _ => return false,
    };
    refused.take().is_some()
}

/// The pod of a job that asks for nothing.
fn sample(settings: &KubernetesSettings) -> Result<Pod> {
    let mut job = JobSpec::new("0", "check");
    let image = match settings.config.image.as_str() {
        "" => "localhost/check",
        image if image.contains('$') => "localhost/check",
        image => image,
    };
    job.image = Some(Image { name: image.to_owned(), ..Image::default() });
    job.steps.push(Step::script(Vec::new()));
    let config = certain(&settings.config);
    let plan = PodPlan {
        has_channel: settings.channel.is_some(),
        config: &config,
        settings: &JobSettings::for_job(&config, &settings.runner, &job)?,
        job: &job,
        names: &PodNames { secrets: vec!["check".into()], ..PodNames::default() },
        attempt: 1,
        pull: 1,
        slot: 0,
        runner_token: &settings.token,
        patch_files: &settings.patch_files,
    };
    let mut pod = pod_for(&plan)?;
    pod.metadata.name = None;
    pod.metadata.generate_name = Some("runner-check-".into());
    // There is no Secret that could own it.
    pod.metadata.owner_references = None;
    Ok(pod)
}

/// The config without what only a job can decide: its images, and all that holds its variables.
fn certain(config: &KubernetesConfig) -> KubernetesConfig {
    let mut config = config.clone();
    config.allowed_images.clear();
    let volumes = &mut config.volumes;
    let is_fixed = |texts: [&str; 3]| texts.iter().all(|text| !text.contains('$'));
    volumes.host_path.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.pvc.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.config_map.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.secret.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.empty_dir.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.csi.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    volumes.nfs.retain(|volume| is_fixed([&volume.name, &volume.mount_path, &volume.sub_path]));
    config.services.retain(|service| !service.name.contains('$'));
    config
}

#[cfg(test)]
mod tests;
