//! D-Bus values as JSON.

use serde_json::{Map, Value};
use zbus::Variant;

/// A value; what JSON has no form for is text.
pub fn value(variant: &Variant<'_>) -> Value {
    match variant {
        Variant::Bool(value) => (*value).into(),
        Variant::U8(value) => (*value).into(),
        Variant::I16(value) => (*value).into(),
        Variant::U16(value) => (*value).into(),
        Variant::I32(value) => (*value).into(),
        Variant::U32(value) => (*value).into(),
        Variant::I64(value) => (*value).into(),
        Variant::U64(value) => (*value).into(),
        Variant::F64(value) => (*value).into(),
        Variant::Str(value) => value.as_str().into(),
        Variant::ObjectPath(path) => path.as_str().into(),
        Variant::Variant(inner) => value(inner),
        Variant::Array(values) => values.iter().map(value).collect(),
        Variant::Structure(fields) => fields.fields().iter().map(value).collect(),
        Variant::Dict(pairs) => {
            let pairs = pairs.iter();
            Value::Object(pairs.map(|(key, it)| (name(key), value(it))).collect())
        }
        other => other.to_string().into(),
    }
}

fn name(key: &Variant<'_>) -> String {
    match key {
        Variant::Str(text) => text.to_string(),
        other => other.to_string(),
    }
}

/// Named values, in the order of their names.
pub fn object<'a>(all: impl IntoIterator<Item = (&'a String, &'a zbus::OwnedVariant)>) -> Value {
    let all = all.into_iter().map(|(name, it)| (name.clone(), value(it)));
    Value::Object(all.collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn values_of_every_kind_that_the_agent_has_become_json() {
        let mounts = Variant::from(vec![("/a", "/b", true)]);
        assert_eq!(value(&mounts), serde_json::json!([["/a", "/b", true]]));
        let details = Variant::from(HashMap::from([("n", Variant::from(7_u64))]));
        assert_eq!(value(&details), serde_json::json!({"n": 7}));
        assert_eq!(value(&Variant::from(0.5)), serde_json::json!(0.5));
        let path = zbus::ObjectPath::from_static_str_unchecked("/a/0");
        assert_eq!(value(&path.into()), serde_json::json!("/a/0"));
    }
}
