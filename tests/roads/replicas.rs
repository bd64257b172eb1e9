//! Containers that take replicas of a shared GPU, as CDI devices ask for them.

use super::{Ground, bytes, config, said};
use serde_json::{Value, json};

#[test]
fn two_replicas_in_one_container_are_two_turns() {
    let ground =
        Ground::new("resources: [{name: gpu, mode: time-slicing, replicas: 2, devices: [0]}]\n");
    let hook = |replica: u32| {
        let request = format!("--request=time-slicing @0 as nvidia.com/gpu=0::{replica}");
        json!({"path": ground.path("bin/divvy-hook"), "args": ["divvy-hook", "create-runtime", request]})
    };
    let asked = |replicas: &[u32]| {
        let mut asked = config(json!({}));
        asked["hooks"] =
            json!({"createRuntime": replicas.iter().map(|n| hook(*n)).collect::<Vec<_>>()});
        bytes(&asked)
    };
    // The same name twice is one turn: the engine runs a device's hook once for each time that it is named.
    let plan = "for words in 'time-slicing @0' 'exclusive @0'; do bin/divvy plan \"$words\" 2>>plans; done";
    let output = ground
        .create(&asked(&[0, 1, 0]), &format!("bin/divvy claims --output json >claims; {plan}"));
    assert!(output.status.success(), "{}", said(&output));
    let claims: Value =
        serde_json::from_slice(&std::fs::read(ground.path("claims")).unwrap()).unwrap();
    assert_eq!(claims[0]["parts"].as_array().unwrap().len(), 2, "{claims}");
    let nodes = super::paths(&ground.seen().unwrap(), "/linux/devices").len();
    let single = ground.create(&asked(&[1]), "true");
    assert!(single.status.success(), "{}", said(&single));
    assert_eq!(
        super::paths(&ground.seen().unwrap(), "/linux/devices").len(),
        nodes,
        "one GPU's nodes, once"
    );
    let plans = std::fs::read_to_string(ground.path("plans")).unwrap();
    assert!(plans.contains("all 2 replicas are taken"), "{plans}");
    assert!(plans.contains("policy doesn't allow exclusive"), "{plans}");
}
