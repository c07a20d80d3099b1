//! The strategic merge patch of Kubernetes: a merge in which some lists of objects are merged by a key.

use serde_json::{Map, Value};

/// The key by which the elements of a list are told apart. `None`: the list is replaced as a whole.
fn merge_key(list: &str) -> Option<&'static str> {
    match list {
        "containers"
        | "initContainers"
        | "ephemeralContainers"
        | "volumes"
        | "imagePullSecrets"
        | "env"
        | "schedulingGates"
        | "resourceClaims" => Some("name"),
        "ports" => Some("containerPort"),
        "volumeMounts" => Some("mountPath"),
        "volumeDevices" => Some("devicePath"),
        "hostAliases" => Some("ip"),
        "topologySpreadConstraints" => Some("topologyKey"),
        _ => None,
    }
}

/// What a patch says of the object that it stands in for.
const DIRECTIVE: &str = "$patch";

/// Applies a patch.
pub(super) fn merge(spec: Value, patch: &Value) -> Result<Value, String> {
    match (spec, patch) {
        (Value::Object(spec), Value::Object(patch)) => Ok(Value::Object(maps(spec, patch)?)),
        _ => Err("it is no mapping".into()),
    }
}

fn maps(mut old: Map<String, Value>, patch: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    match directive(patch)? {
        Some("replace") => return Ok(plain(patch)),
        Some("delete") => return Ok(Map::new()),
        _ => {}
    }
    for (key, change) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(kept)), Value::Array(gone)) = (old.get_mut(list), change) {
                kept.retain(|element| !gone.contains(element));
            }
        } else if key == "$retainKeys" {
            let keys = change.as_array().ok_or("`$retainKeys` is no list")?;
            old.retain(|name, _| keys.iter().any(|key| key == name));
        } else if key.starts_with('$') {
            // `$setElementOrder/…` is made by tools out of two versions of an object; there is one version here.
        } else if change.is_null() {
            old.remove(key);
        } else {
            let value = field(key, old.remove(key), change)?;
            old.insert(key.clone(), value);
        }
    }
    Ok(old)
}

fn field(key: &str, old: Option<Value>, change: &Value) -> Result<Value, String> {
    match (old, change) {
        (Some(Value::Object(old)), Value::Object(change)) => Ok(Value::Object(maps(old, change)?)),
        (_, Value::Object(change)) => Ok(Value::Object(maps(Map::new(), change)?)),
        (Some(Value::Array(old)), Value::Array(change)) => match merge_key(key) {
            Some(by) => lists(key, old, (by, change)),
            None => Ok(Value::Array(change.clone())),
        },
        (None, Value::Array(change)) => match merge_key(key) {
            Some(by) => lists(key, Vec::new(), (by, change)),
            None => Ok(Value::Array(change.clone())),
        },
        _ => Ok(change.clone()),
    }
}

fn lists(key: &str, old: Vec<Value>, (by, changes): (&str, &[Value])) -> Result<Value, String> {
    let mut list = old;
    let mut replaces = false;
    for change in changes {
        let change = change.as_object().ok_or_else(|| format!("an element of {key} is no mapping"))?;
        replaces |= directive(change)? == Some("replace") && !change.contains_key(by);
    }
    if replaces {
        list.clear();
    }
    for change in changes.iter().filter_map(Value::as_object) {
        let Some(name) = change.get(by) else {
            if directive(change)?.is_some() {
                continue;
            }
            return Err(format!("an element of {key} has no {by}"));
        };
        let place = list.iter().position(|element| element.get(by) == Some(name));
        match (directive(change)?, place) {
            (Some("delete"), _) => list.retain(|element| element.get(by) != Some(name)),
            (_, Some(place)) => {
                if let Some(element) = list.get_mut(place) {
                    let old = element.as_object().cloned().unwrap_or_default();
                    *element = Value::Object(maps(old, change)?);
                }
            }
            (_, None) => list.push(Value::Object(maps(Map::new(), change)?)),
        }
    }
    Ok(Value::Array(list))
}

fn directive(patch: &Map<String, Value>) -> Result<Option<&str>, String> {
    match patch.get(DIRECTIVE) {
        None => Ok(None),
        Some(Value::String(text)) if ["replace", "delete", "merge"].contains(&text.as_str()) => {
            Ok(Some(text))
        }
        Some(other) => Err(format!("`$patch` cannot be {other}")),
    }
}

/// A patch as a value of its own, without what it says about itself.
fn plain(patch: &Map<String, Value>) -> Map<String, Value> {
    let fields = patch.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    fields.map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(spec: Value, patch: &Value, expected: &Value) {
        assert_eq!(merge(spec, patch).as_ref(), Ok(expected), "{patch}");
    }

    #[test]
    fn lists_with_a_key_are_merged_and_others_replaced() {
        check(
            json!({ "containers": [{ "name": "a", "env": [{ "name": "X", "value": "1" }], "args": ["1"] }] }),
            &json!({ "containers": [{ "name": "a", "env": [{ "name": "Y", "value": "2" }], "args": ["2"] }, { "name": "b" }] }),
            &json!({ "containers": [
                { "name": "a", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }], "args": ["2"] },
                { "name": "b" },
            ] }),
        );
        check(
            json!({ "tolerations": [{ "key": "a" }], "hostAliases": [{ "ip": "1", "hostnames": ["a"] }] }),
            &json!({ "tolerations": [{ "key": "b" }], "hostAliases": [{ "ip": "1", "hostnames": ["b"] }, { "ip": "2" }] }),
            &json!({ "tolerations": [{ "key": "b" }], "hostAliases": [{ "ip": "1", "hostnames": ["b"] }, { "ip": "2" }] }),
        );
        check(
            json!({ "securityContext": { "runAsUser": 1, "fsGroup": 2 }, "hostname": "a" }),
            &json!({ "securityContext": { "runAsUser": 3, "fsGroup": null }, "hostname": null }),
            &json!({ "securityContext": { "runAsUser": 3 } }),
        );
    }

    #[test]
    fn directives_delete_and_replace() {
        let spec =
            || json!({ "volumes": [{ "name": "a", "emptyDir": {} }, { "name": "b", "emptyDir": {} }] });
        check(
            spec(),
            &json!({ "volumes": [{ "name": "a", "$patch": "delete" }] }),
            &json!({ "volumes": [{ "name": "b", "emptyDir": {} }] }),
        );
        check(
            spec(),
            &json!({ "volumes": [{ "$patch": "replace" }, { "name": "c" }] }),
            &json!({ "volumes": [{ "name": "c" }] }),
        );
        check(
            spec(),
            &json!({ "volumes": [{ "name": "a", "$retainKeys": ["name", "hostPath"], "hostPath": { "path": "/x" } }] }),
            &json!({ "volumes": [{ "name": "a", "hostPath": { "path": "/x" } }, { "name": "b", "emptyDir": {} }] }),
        );
        check(
            json!({ "nodeSelector": { "a": "1" }, "x": ["1", "2"] }),
            &json!({ "nodeSelector": { "$patch": "replace", "b": "2" }, "$deleteFromPrimitiveList/x": ["1"] }),
            &json!({ "nodeSelector": { "b": "2" }, "x": ["2"] }),
        );
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        assert!(merge(json!({}), &json!([])).is_err());
        assert!(merge(json!({}), &json!({ "containers": ["a"] })).is_err());
        assert!(merge(json!({}), &json!({ "containers": [{ "image": "a" }] })).is_err());
        assert!(merge(json!({}), &json!({ "$patch": "explode" })).is_err());
    }
}
