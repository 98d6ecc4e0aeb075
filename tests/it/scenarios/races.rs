//! A Secret that comes into being just before its Deployment.

use serde_json::{Value, json};

use super::guard::Guard;
use super::objects::{deployment, secret, token_from};
use super::said::warned_of;
use super::tokens::Token;

const PAIRS: usize = 200;
/// How many of them one kubectl applies; more requests at once than some 300
/// it would hold back itself.
const TOGETHER: usize = 50;

/// Each Secret directly before the Deployment that refers to it.
fn pairs() -> Vec<[Value; 2]> {
    let numbers = 0..PAIRS;
    numbers
        .map(|number| {
            let name = format!("pair-{number}");
            let token = Token::api_key("admin").text();
            let runtime = deployment(&name, vec![token_from(&name, "token")]);
            [secret(&name, "token", token), runtime]
        })
        .collect()
}

#[test]
fn a_secret_applied_just_before_its_deployment_is_seen_200_times_out_of_200() {
    let scene = Guard::shared().scene("applied-pairs");
    for some in pairs().chunks(TOGETHER) {
        let items: Vec<_> = some.iter().flatten().collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items});
        warned_of(scene.send(["apply"], &list), &[]);
    }
    let names = scene.read("deployments", "{.items[*].metadata.name}");
    assert_eq!(names.split(' ').count(), PAIRS);
}

#[test]
fn a_secret_created_just_before_its_deployment_is_seen_200_times_out_of_200() {
    let scene = Guard::shared().scene("created-pairs");
    for some in pairs().chunks(TOGETHER) {
        // Nothing but two requests, one after the other on one connection.
        scene.create(&some.concat()).expect_silence();
    }
    let names = scene.read("deployments", "{.items[*].metadata.name}");
    assert_eq!(names.split(' ').count(), PAIRS);
}
