//! What of a pipeline needs containers, and so has no effect where there are none.

use runner_pipeline::PipelineJob;

/// Images, each with the jobs that name it.
#[derive(Debug, Default)]
struct Users<'a>(Vec<(&'a str, Vec<&'a str>)>);

impl<'a> Users<'a> {
    fn add(&mut self, image: &'a str, job: &'a str) {
        match self.0.iter_mut().find(|(name, _)| *name == image) {
            Some((_, jobs)) if jobs.contains(&job) => {}
            Some((_, jobs)) => jobs.push(job),
            None => self.0.push((image, vec![job])),
        }
    }

    fn text(&self) -> String {
        let each = self.0.iter().map(|(image, jobs)| format!("{image} ({})", jobs.join(", ")));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// What is left out of `jobs`, in a sentence for all images and one for all services.
pub(crate) fn left_out(jobs: &[PipelineJob]) -> Vec<String> {
    let (mut images, mut services) = (Users::default(), Users::default());
    for job in jobs {
        if let Some(image) = &job.spec.image {
            images.add(&image.name, &job.group);
        }
        for service in &job.spec.services {
            services.add(&service.image.name, &job.group);
        }
    }
    let mut notes = Vec::new();
    if !images.0.is_empty() {
        let images = images.text();
        notes.push(format!(
            "image: has no effect here; jobs run with the tools of this machine, not with those of {images}"
        ));
    }
    if !services.0.is_empty() {
        notes.push(format!("services: are not started here: {}", services.text()));
    }
    notes
}

#[cfg(test)]
mod tests {
    use runner_core::job::{Image, JobSpec, Service};

    use super::*;

    #[test]
    fn each_image_is_named_once_with_its_jobs() {
        let job = |name: &str, service: Option<&str>| {
            let image = |name: &str| Image { name: name.into(), ..Image::default() };
            let mut spec = JobSpec::new("", name);
            spec.image = Some(image("python:3.12"));
            spec.services.extend(service.map(|name| Service { image: image(name), ..Service::default() }));
            PipelineJob { name: name.into(), group: name.into(), spec, ..PipelineJob::default() }
        };
        let jobs = [job("unit", None), job("e2e", Some("postgres:16"))];
        insta::assert_snapshot!(left_out(&jobs).join("\n"), @r"
        image: has no effect here; jobs run with the tools of this machine, not with those of python:3.12 (unit, e2e)
        services: are not started here: postgres:16 (e2e)
        ");
        assert!(left_out(&[]).is_empty());
    }
}
