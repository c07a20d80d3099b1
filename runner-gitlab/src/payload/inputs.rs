//! Inputs of a job: `${{ job.inputs.name }}` in its scripts.

use runner_core::{Result, job::Step};
use serde_json::Value;

use super::{lenient::unsupported, wire::Input};

const OPEN: &str = "${{";
const CLOSE: &str = "}}";

/// Puts the values of inputs into scripts. A job without inputs has no such places, whatever its scripts hold.
///
/// # Errors
/// `Unsupported` for an expression that is more than the name of an input.
pub(super) fn fill(steps: &mut [Step], inputs: &[Input]) -> Result<()> {
    if inputs.is_empty() {
        return Ok(());
    }
    for command in steps.iter_mut().flat_map(|step| &mut step.script) {
        *command = filled(command, inputs)?;
    }
    Ok(())
}

fn filled(text: &str, inputs: &[Input]) -> Result<String> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        let Some((expression, after)) = after.split_once(CLOSE) else { break };
        let expression = expression.trim();
        let name = expression.strip_prefix("job.inputs.").unwrap_or_default();
        let Some(input) = inputs.iter().find(|input| input.key == name) else {
            return Err(unsupported(format_args!("`{OPEN} {expression} {CLOSE}`")));
        };
        result.push_str(before);
        match &input.value.content {
            Value::String(text) => result.push_str(text),
            Value::Null => {}
            other => result.push_str(&other.to_string()),
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Option<String> {
        let inputs: Vec<Input> = serde_json::from_str(
            r#"[{"key":"who","value":{"type":"string","content":"you"}},
                {"key":"count","value":{"type":"number","content":3}},
                {"key":"list","value":{"type":"array","content":["a"]}}]"#,
        )
        .unwrap();
        let mut steps = [Step::script(vec![text.into()])];
        fill(&mut steps, &inputs).ok()?;
        steps[0].script.pop()
    }

    #[test]
    fn a_name_is_replaced_by_its_value_once() {
        assert_eq!(check("echo ${{ job.inputs.who }} ${{job.inputs.count}}").as_deref(), Some("echo you 3"));
        assert_eq!(check("echo ${{ job.inputs.list }}").as_deref(), Some(r#"echo ["a"]"#));
        assert_eq!(check("echo ${{ open").as_deref(), Some("echo ${{ open"));
    }

    #[test]
    fn what_is_more_than_a_name_is_refused() {
        assert_eq!(check("echo ${{ job.inputs.other }}"), None);
        assert_eq!(check("echo ${{ str(job.inputs.count) }}"), None);
    }

    #[test]
    fn a_job_without_inputs_keeps_its_text() {
        let mut steps = [Step::script(vec!["echo ${{ matrix.os }}".into()])];
        fill(&mut steps, &[]).unwrap();
        assert_eq!(steps[0].script, ["echo ${{ matrix.os }}"]);
    }
}
