//! The configurations of three articles on GPU sharing, with the counts that they show.

use super::{answer, article, configure, fill, release_all, requests, run, start, stderr};
use crate::claims::site::Site;
use crate::common::node::{self, Node};
use std::fs;

fn cut(node: &Node, gpu: &str, profile: &str, count: usize) {
    for _ in 0..count {
        node.change("mig", &[gpu, "create", profile]);
    }
}

#[test]
fn four_replicas_of_one_gpu() {
    let node = node::create(&["--gpu", "GTX-1080-Ti"]);
    configure(&node, "time-slicing.yaml");
    let devices = requests(&node, "gpu");
    let names: Vec<&str> = devices.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["0::0", "0::1", "0::2", "0::3"], "nvidia.com/gpu: 4");
    let mut all: Vec<String> = devices.into_iter().map(|(_, request)| request).collect();
    all.push(all[0].clone());
    let (served, refusal) = fill(&node, &all);
    assert_eq!(served, 4);
    assert!(refusal.contains("all 4 replicas are taken"), "{refusal}");
}

#[test]
fn four_replicas_of_four_gpus() {
    let node = node::create(&["--gpu", "T4:4"]);
    configure(&node, "time-slicing-several.yaml");
    let devices = requests(&node, "gpu");
    assert_eq!(devices.len(), 16, "nvidia.com/gpu: 16");
    // The article runs five containers "on the same GPU". With four replicas of each GPU the fifth is on another
    // one: kubelet picks any free replica, and here a fifth on the first GPU is refused.
    let first: Vec<String> =
        devices.iter().take(4).chain(&devices[..1]).map(|(_, request)| request.clone()).collect();
    assert_eq!(fill(&node, &first).0, 4);
    let output = start(&node, "fifth", &devices[4].1, 0);
    assert!(output.status.success(), "{}", stderr(&output));
    // failRequestsGreaterThanOne: false: one container may have two replicas, and they count as two.
    let two = format!("{}; {}", devices[8].1, devices[9].1);
    assert!(start(&node, "two", &two, 0).status.success());
    let rest: Vec<String> = devices[8..12].iter().map(|(_, request)| request.clone()).collect();
    let mut served = 0;
    for (n, request) in rest.iter().enumerate() {
        served += usize::from(start(&node, &format!("rest{n}"), request, 0).status.success());
    }
    assert_eq!(served, 2);
}

#[test]
fn twenty_eight_replicas_of_seven_mig_devices() {
    // The article's A100, cut by its own all-1g.5gb.
    let node = node::create(&["--gpu", "A100-40GB", "--mig", "on"]);
    cut(&node, "0", "1g.5gb", 7);
    configure(&node, "mig-time-slicing.yaml");
    let devices = requests(&node, "gpu");
    assert_eq!(devices.len(), 28, "seven MIG devices times four");
    assert_eq!((devices[0].0.as_str(), devices[27].0.as_str()), ("0:0::0", "0:6::3"));
    let mut all: Vec<String> = devices.into_iter().map(|(_, request)| request).collect();
    all.push(all[27].clone());
    let (served, refusal) = fill(&node, &all);
    assert_eq!(served, 28);
    assert!(refusal.contains("all 4 replicas are taken"), "{refusal}");
}

#[test]
fn ten_parts_of_a_gpu_by_mps() {
    let Some(site) = Site::new(&["--gpu", "H100-80GB"]).lend_mps() else { return };
    let node = &site.node;
    configure(node, "mps.yaml");
    let devices = requests(node, "gpu");
    assert_eq!(devices.len(), 10);
    // A tenth of 81,559 MiB and of the threads, as the plugin gives its daemon.
    assert!(devices[9].1.starts_with("mps:threads=10,memory=8155Mi @GPU-"), "{}", devices[9].1);
    assert!(devices[9].1.ends_with(" as nvidia.com/gpu=0::9"), "{}", devices[9].1);
    let mut all: Vec<String> = devices.iter().map(|(_, request)| request.clone()).collect();
    let output = start(node, "two", &all[..2].join("; "), 0);
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("a claim has one device of nvidia.com/gpu at most"));
    all.push(all[9].clone());
    let (served, refusal) = fill(node, &all);
    assert_eq!(served, 10);
    assert!(refusal.contains("are left beside"), "{refusal}");
    let exclusive = || node.change("show", &[]).contains("compute mode 3");
    assert!(exclusive(), "as the plugin sets it");
    release_all(node);
    assert!(!exclusive(), "and put back");
}

#[test]
fn mps_and_mig_do_not_exclude_each_other() {
    // "MPS and MIG are mutually exclusive on the same GPU", says the article. NVIDIA's Kubernetes agents refuse
    // the two together; the driver takes a daemon for each MIG device.
    let node = node::create(&["--gpu", "H100-80GB", "--mig", "on", "--no-nodes"]);
    cut(&node, "0", "3g.40gb", 1);
    let text = fs::read_to_string(article("mps.yaml")).unwrap();
    let text = text.replace("migStrategy: none", "migStrategy: mixed");
    let text = text.replace("nvidia.com/gpu", "nvidia.com/mig-3g.40gb").replace("10", "4");
    fs::write(node.host().config, text).unwrap();
    let devices = requests(&node, "mig-3g.40gb");
    assert_eq!(devices.len(), 4);
    assert!(devices[3].1.starts_with("mps:threads=25,memory="), "{}", devices[3].1);
    assert!(devices[3].1.ends_with(" as nvidia.com/mig-3g.40gb=0:0::3"), "{}", devices[3].1);
    let plan = answer(node.divvy().arg("plan").arg(&devices[3].1));
    assert!(plan.contains("MPS control daemon"), "{plan}");
}

#[test]
fn a_cluster_policy_names_what_mig_devices_are_called() {
    let output = run(node::create(&["--gpu", "T4"])
        .divvy()
        .arg("import")
        .arg(article("cluster-policy.yaml")));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.ends_with("mig-strategy: single\n"), "{said}");
}

#[test]
fn the_claims_of_two_deployments_share_an_h100() {
    let node = node::create(&["--gpu", "H100-80GB", "--managed"]);
    let prepare = |claim: &str, template: &str| {
        let mut command = node.divvy();
        command.args(["prepare", "--claim", claim, "--file"]).arg(article("claim-templates.yaml"));
        answer(command.args(["--manifest", template]))
    };
    let (prod, dev) =
        (prepare("prod", "gpu-claim-template-prod"), prepare("dev", "gpu-claim-template-dev"));
    assert!(prod.contains("mig:3g.40gb") && dev.contains("mig:1g.10gb"), "{prod}{dev}");
    let shown = node.change("show", &[]);
    assert!(shown.contains("3g.40gb") && shown.contains("1g.10gb"), "{shown}");
    let file = article("claim-templates.yaml");
    let output = run(node.divvy().args(["prepare", "--file"]).arg(&file));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("choose one with --manifest"), "{}", stderr(&output));
    release_all(&node);
    assert!(!node.change("show", &[]).contains("3g.40gb"));
}
