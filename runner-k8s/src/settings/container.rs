//! The containers of a job: images against the allow-lists, users, pull policies and resources.

use runner_core::{
    JobSpec, Result,
    job::{Image, Service},
};

use super::{ContainerSettings, Resources, ServiceSettings, host_name, invalid, user};
use crate::config::{AllowList, ContainerSecurityContext, KubernetesConfig, Part, PullPolicies};

pub(super) struct Containers<'job> {
    pub(super) config: &'job KubernetesConfig,
    pub(super) job: &'job JobSpec,
    pub(super) helper_image: &'job str,
}

impl Containers<'_> {
    pub(super) fn build(&self, warnings: &mut Vec<String>) -> Result<ContainerSettings> {
        let own = Image::default();
        let image = self.job.image.as_ref().unwrap_or(&own);
        let mut name = self.expand(&image.name);
        if name.is_empty() {
            name = self.expand(&self.config.image);
        }
        if name.is_empty() {
            return Err(invalid("find an image: the job names none, and the runner's `image` is empty"));
        }
        self.check_allowed(&name, "image", ("allowed_images", &self.config.allowed_images))?;
        let context = &self.config.build_container_security_context;
        let resources = Resources::of(self.config, Part::Build, &[&self.job.variables], warnings)?;
        let image = Image { name, ..image.clone() };
        self.container(&image, ("the build container", context), resources, warnings)
    }

    pub(super) fn helper(&self, warnings: &mut Vec<String>) -> Result<ContainerSettings> {
        let context = &self.config.helper_container_security_context;
        let resources = Resources::of(self.config, Part::Helper, &[&self.job.variables], warnings)?;
        let image = Image { name: self.helper_image.to_owned(), ..Image::default() };
        self.container(&image, ("the helper", context), resources, warnings)
    }

    pub(super) fn services(&self, warnings: &mut Vec<String>) -> Result<Vec<ServiceSettings>> {
        let mut services = Vec::new();
        for service in self.config.services.iter().map(crate::config::ServiceEntry::service) {
            let name = self.expand(&service.image.name);
            if !name.is_empty() {
                services.push(self.service(&service, name, warnings)?);
            }
        }
        for service in &self.job.services {
            let name = self.expand(&service.image.name);
            if !name.is_empty() {
                self.check_allowed(&name, "service", ("allowed_services", &self.config.allowed_services))?;
                services.push(self.service(service, name, warnings)?);
            }
        }
        Ok(services)
    }

    fn service(
        &self,
        service: &Service,
        name: String,
        warnings: &mut Vec<String>,
    ) -> Result<ServiceSettings> {
        let mut host_names = host_name::of_image(&name);
        for alias in &service.aliases {
            let alias = self.expand(alias);
            for alias in crate::config::split_aliases(&alias) {
                if !host_name::is_dns_name(alias) {
                    return Err(invalid(format!("name the service {name} {alias:?}: it is no host name")));
                }
                host_names.push(alias.to_owned());
            }
        }
        let scopes = [&self.job.variables, &service.variables];
        let resources = Resources::of(self.config, Part::Service, &scopes, warnings)?;
        let context = &self.config.service_container_security_context;
        let health_port = health_port(service, &name)?;
        let whose = format!("the service {name}");
        let image = Image { name, ..service.image.clone() };
        Ok(ServiceSettings {
            container: self.container(&image, (&whose, context), resources, warnings)?,
            command: service.command.clone().unwrap_or_default(),
            host_names,
            variables: service.variables.clone(),
            health_port,
        })
    }

    fn container(
        &self,
        image: &Image,
        (whose, context): (&str, &ContainerSecurityContext),
        resources: Resources,
        warnings: &mut Vec<String>,
    ) -> Result<ContainerSettings> {
        let asked = self.expand(image.user.as_deref().unwrap_or_default());
        let (user, group) = user::ids(self.config, context, (whose, &asked), warnings);
        let pull_policies = PullPolicies::of(self.config, &image.pull_policies)
            .map_err(|problem| invalid(format!("choose a pull policy for {}: {problem}", image.name)))?;
        // An entrypoint of one empty text empties the image's own in Docker; Kubernetes would run the empty text.
        let mut entrypoint = image.entrypoint.clone().unwrap_or_default();
        entrypoint.retain(|part| !part.is_empty());
        Ok(ContainerSettings { image: image.name.clone(), entrypoint, pull_policies, user, group, resources })
    }

    fn check_allowed(&self, name: &str, kind: &str, (key, patterns): (&str, &[String])) -> Result<()> {
        let list = AllowList::new(patterns).map_err(|cause| {
            invalid(format!("use the {kind} {name}: a pattern of the runner's `{key}` is broken"))
                .because(cause)
        })?;
        let is_own = name == self.helper_image || name == self.expand(&self.config.image);
        if patterns.is_empty() || list.has(name) || is_own {
            return Ok(());
        }
        let patterns = patterns.join(", ");
        Err(invalid(format!("use the {kind} {name}: the runner allows only {patterns} (`{key}`)")))
    }

    fn expand(&self, text: &str) -> String {
        self.job.variables.expand(text)
    }
}

fn health_port(service: &Service, name: &str) -> Result<Option<u16>> {
    let port = service.variables.value("HEALTHCHECK_TCP_PORT");
    if port.is_empty() {
        return Ok(None);
    }
    match port.trim().parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(invalid(format!("wait for the service {name}: HEALTHCHECK_TCP_PORT={port} is no port"))),
    }
}
