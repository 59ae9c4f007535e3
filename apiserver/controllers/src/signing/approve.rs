//! Approves what kubelets may have without a person: their client certificates.

use super::{KUBELET_CLIENT, has_condition, kubelet_client_complaint, request_pem};
use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tinyplane_wire::client::{Cache, Client, ClientError, WorkQueue};
use tinyplane_wire::identity::pki;

const REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Starts to approve.
pub(crate) fn start(context: &Arc<Context>) {
    let queue = Arc::new(WorkQueue::new());
    let requests = context.cache(&kinds::signing_requests());
    enqueue_changes(&requests, &queue);
    let client = context.client.clone();
    run(context, &queue, vec![Arc::clone(&requests)], Approver { client, requests });
}

struct Approver {
    client: Client,
    requests: Arc<Cache>,
}

impl Reconcile for Approver {
    const NAME: &'static str = "csrapproving";

    async fn reconcile(&self, name: &str) -> Result<After, ClientError> {
        let Some(request) = self.requests.get(name) else { return Ok(After::Rest) };
        let signed = request["status"]["certificate"].as_str().is_some_and(|c| !c.is_empty());
        if signed || has_condition(&request, "Approved") || has_condition(&request, "Denied") {
            return Ok(After::Rest);
        }
        let Some(wish) = request_pem(&request).and_then(|pem| pki::read_request(&pem).ok()) else {
            return Ok(After::Rest);
        };
        if request["spec"]["signerName"] != KUBELET_CLIENT || kubelet_client_complaint(&request, &wish).is_some() {
            return Ok(After::Rest);
        }
        let itself = request["spec"]["username"] == wish.common_name.as_str();
        let kinds = [
            (itself, "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
            (true, "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
        ];
        for (_, permission, message) in kinds.iter().filter(|(concerned, ..)| *concerned) {
            if self.may(&request, permission).await? {
                self.approve(&request, message).await?;
                break;
            }
        }
        Ok(After::Rest)
    }
}

impl Approver {
    /// Whether the asker may have such a certificate.
    async fn may(&self, request: &Value, permission: &str) -> Result<bool, ClientError> {
        let spec = &request["spec"];
        let mut asked = json!({
            "user": spec["username"],
            "resourceAttributes": {
                "group": "certificates.k8s.io", "resource": "certificatesigningrequests",
                "verb": "create", "subresource": permission, "version": "*",
            },
        });
        for field in ["uid", "groups", "extra"] {
            if !spec[field].is_null() {
                asked[field] = spec[field].clone();
            }
        }
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": asked,
        });
        let answer = self.client.request(Method::POST, REVIEWS, Some(&review)).await?;
        Ok(answer["status"]["allowed"].as_bool() == Some(true))
    }

    async fn approve(&self, request: &Value, message: &str) -> Result<(), ClientError> {
        let mut wished = request.clone();
        let mut conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.push(json!({"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message}));
        wished["status"]["conditions"] = conditions.into();
        self.client.update(&kinds::signing_requests(), Some("approval"), &wished).await.map(drop)
    }
}
