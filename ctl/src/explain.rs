//! What capabilities open, and what a container may do.

use std::collections::BTreeMap;

use softwarecontainer_client::Client;

use crate::{
    error::Error,
    output::{harmless, lines, table},
    show::about,
    words,
};

/// Capability, manifest, gateway, one element of its configuration.
type Rule = (String, String, String, String);

/// Capabilities with the gateways that each opens, and their manifests.
pub async fn capabilities(client: &Client) -> Result<String, Error> {
    let names = client.agent().list_capabilities().await?;
    let mut all: BTreeMap<String, [Vec<String>; 2]> = BTreeMap::new();
    for name in names {
        all.entry(name).or_default();
    }
    for (capability, manifest, gateway, _) in client.manager().describe_capabilities(&[]).await? {
        // Default capabilities cannot be chosen.
        if let Some([gateways, manifests]) = all.get_mut(&capability) {
            for (list, one) in [(gateways, gateway), (manifests, manifest)] {
                if !list.contains(&one) {
                    list.push(one);
                }
            }
        }
    }
    let rows = all.into_iter().map(|(name, [gateways, manifests])| {
        let of = |list: Vec<String>| harmless(&list.join(", "));
        vec![harmless(&name), of(gateways), of(manifests)]
    });
    let head = ["CAPABILITY", "GATEWAYS", "MANIFEST"];
    Ok(table(&head, &rows.collect::<Vec<_>>()))
}

/// What the named capabilities open, in plain words.
pub async fn named(client: &Client, names: &[String]) -> Result<String, Error> {
    let rules = client.manager().describe_capabilities(names).await?;
    Ok(lines(&in_words(&rules)))
}

/// What a container may do, in plain words.
pub async fn container(client: &Client, id: i32) -> Result<String, Error> {
    let container = client.container(id).await?;
    let rules = container.get_rules().await?;
    let mounts = container.mounts().await.map_err(|error| about(id, error))?;
    let mut text = vec![format!(
        "Container {id} may do what follows, and nothing else."
    )];
    if !mounts.is_empty() {
        text.push("Its launcher has mounted:".to_owned());
    }
    for (host, inside, read_only) in mounts {
        let does = match read_only {
            true => "reads",
            false => "reads and writes",
        };
        text.push(harmless(&format!(
            "  {does} {host} of the host as {inside}"
        )));
    }
    if rules.is_empty() {
        text.push("No capability was set: it has no network, devices, buses or sockets.".into());
    }
    text.extend(in_words(&rules));
    Ok(lines(&text))
}

/// What a container may do, as the manifests have it.
pub async fn rules(client: &Client, id: i32) -> Result<String, Error> {
    let rules = client.container(id).await?.get_rules().await?;
    let rows = rules
        .into_iter()
        .map(|(capability, manifest, gateway, element)| {
            [gateway, capability, manifest, element]
                .iter()
                .map(|text| harmless(text))
                .collect()
        });
    let head = ["GATEWAY", "CAPABILITY", "MANIFEST", "ELEMENT"];
    Ok(table(&head, &rows.collect::<Vec<_>>()))
}

/// Under each capability with its manifest, what it opens.
fn in_words(rules: &[Rule]) -> Vec<String> {
    let mut text = Vec::new();
    let mut last = None;
    for (capability, manifest, gateway, element) in rules {
        let head = (capability, manifest);
        if last.replace(head) != Some(head) {
            text.push(harmless(&format!("Capability {capability} ({manifest}):")));
        }
        let words = words::of(gateway, element).into_iter();
        text.extend(words.map(|words| format!("  {words}")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_manifest_says_of_a_capability_stands_together() {
        let rule = |capability: &str, value: &str| -> Rule {
            let element = format!(r#"{{"name": "A", "value": "{value}"}}"#);
            (capability.into(), "/m.json".into(), "env".into(), element)
        };
        let text = in_words(&[rule("a", "1"), rule("a", "2"), rule("b", "3")]);
        assert_eq!(
            text,
            [
                "Capability a (/m.json):",
                "  has the variable A=1",
                "  has the variable A=2",
                "Capability b (/m.json):",
                "  has the variable A=3",
            ]
        );
    }
}
