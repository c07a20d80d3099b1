//! What the runner itself may do.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};
use runner_core::Finding;

use super::{
    Answer, Look, answer, few_at_a_time,
    needs::{Need, Scope, needs},
    warning,
};

/// What is granted of what is needed.
pub(super) struct Granted<'config> {
    needs: Vec<Judged<'config>>,
    /// Why some of it is not known.
    unknown: Option<String>,
}

struct Judged<'config> {
    need: Need<'config>,
    missing: Vec<&'static str>,
}

/// Asks for each verb that is needed, a few at a time.
pub(super) async fn ask<'config>(look: &Look<'config>) -> Granted<'config> {
    let needs = needs(look.config, look.namespace, look.uses);
    let pairs = needs.iter().flat_map(|need| need.verbs.iter().map(move |verb| (need, *verb)));
    let answers = few_at_a_time(pairs.map(|(need, verb)| may(look, need, verb)).collect()).await;
    let mut answers = answers.into_iter();
    let mut unknown = None;
    let judged = needs.into_iter().map(|need| {
        let mut missing = Vec::new();
        for (verb, answer) in need.verbs.iter().zip(answers.by_ref()) {
            match answer {
                Answer::Is(true) => {}
                Answer::Is(false) => missing.push(*verb),
                Answer::Missing | Answer::Forbidden => unknown = Some("it is forbidden".to_owned()),
                Answer::Unknown(reason) => unknown = Some(reason),
            }
        }
        Judged { need, missing }
    });
    let needs = judged.collect();
    Granted { needs, unknown }
}

async fn may(look: &Look<'_>, need: &Need<'_>, verb: &str) -> Answer<bool> {
    let (resource, part) = need.resource.split_once('/').unwrap_or((need.resource, ""));
    let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        group: some(need.group),
        namespace: match need.scope {
            Scope::Namespace(namespace) => some(namespace),
            Scope::Cluster => None,
        },
        resource: some(resource),
        subresource: some(part),
        verb: some(verb),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(look.client.clone());
    let answer = answer(reviews.create(&PostParams::default(), &review)).await;
    answer.map(|review| review.status.is_some_and(|status| status.allowed))
}

impl Granted<'_> {
    /// Whether a verb of those that are needed is granted, as far as is known.
    pub(super) fn has(&self, resource: &str, verb: &str) -> bool {
        let judged = self.needs.iter().find(|judged| judged.need.resource == resource);
        judged.is_some_and(|judged| judged.need.verbs.contains(&verb) && !judged.missing.contains(&verb))
    }

    /// Whether no verb at all is granted.
    pub(super) fn is_nothing(&self) -> bool {
        self.needs.iter().all(|judged| judged.missing.len() == judged.need.verbs.len())
    }

    /// What is missing, a finding for each resource.
    pub(super) fn findings(&self, look: &Look<'_>) -> Vec<Finding> {
        let missing =
            self.needs.iter().filter_map(|judged| judged.need.finding(&judged.missing, look.runner));
        let unknown = self.unknown.as_ref().map(|reason| {
            let text =
                format!("what {} may do cannot be asked (SelfSubjectAccessReview): {reason}", look.runner);
            warning(text, "bind the cluster role system:basic-user to it, as clusters do by default")
        });
        missing.chain(unknown).collect()
    }
}
