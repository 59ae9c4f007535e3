//! Signs approved requests with the cluster's authority.

use super::{has_condition, kubelet_client_complaint, kubelet_serving_complaint, request_pem, usages};
use crate::context::Context;
use crate::control_loop::{After, Reconcile, enqueue_changes, run};
use crate::kinds;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tinyplane_wire::client::{Cache, ClientError, WorkQueue};
use tinyplane_wire::identity::pki::{self, Authority, Usage};

/// Shortest life that may be asked for.
const LIFE_SECONDS_MIN: u64 = 600;

/// With what to sign, and for how long at most.
pub(crate) struct Signers {
    pub(crate) authority: Authority,
    pub(crate) lifetime: Duration,
}

/// Starts to sign.
pub(crate) fn start(context: &Arc<Context>, signers: Signers) {
    let queue = Arc::new(WorkQueue::new());
    let requests = context.cache(&kinds::signing_requests());
    enqueue_changes(&requests, &queue);
    let context_of_signer = Arc::clone(context);
    run(context, &queue, vec![Arc::clone(&requests)], Signer { context: context_of_signer, signers, requests });
}

struct Signer {
    context: Arc<Context>,
    signers: Signers,
    requests: Arc<Cache>,
}

impl Reconcile for Signer {
    const NAME: &'static str = "csrsigning";

    async fn reconcile(&self, name: &str) -> Result<After, ClientError> {
        let Some(request) = self.requests.get(name) else { return Ok(After::Rest) };
        let signed = request["status"]["certificate"].as_str().is_some_and(|c| !c.is_empty());
        let approved = has_condition(&request, "Approved") && !has_condition(&request, "Denied");
        if signed || !approved || has_condition(&request, "Failed") {
            return Ok(After::Rest);
        }
        let mut wished = Value::clone(&request);
        match self.sign(&request) {
            None => return Ok(After::Rest),
            Some(Ok(certificate)) => wished["status"]["certificate"] = STANDARD.encode(certificate).into(),
            Some(Err(why)) => {
                let mut conditions = request["status"]["conditions"].as_array().cloned().unwrap_or_default();
                conditions.push(json!({
                    "type": "Failed", "status": "True", "reason": "SignerValidationFailure", "message": why,
                }));
                wished["status"]["conditions"] = conditions.into();
            }
        }
        self.context.client.update(&kinds::signing_requests(), Some("status"), &wished).await?;
        Ok(After::Rest)
    }
}

impl Signer {
    /// The certificate, or why there is none; `None` where another signer is meant.
    fn sign(&self, request: &Value) -> Option<Result<String, String>> {
        let signer = request["spec"]["signerName"].as_str()?.strip_prefix("kubernetes.io/")?;
        let pem = request_pem(request).unwrap_or_default();
        let wish = match pki::read_request(&pem) {
            Ok(wish) => wish,
            Err(error) => return Some(Err(format!("unable to parse csr: {error}"))),
        };
        let allowed = |allowed: &[&str]| usages(request).iter().all(|usage| allowed.contains(usage));
        let common = ["client auth", "digital signature", "key encipherment"];
        let complaint = match signer {
            "kube-apiserver-client-kubelet" => kubelet_client_complaint(request, &wish),
            "kubelet-serving" => kubelet_serving_complaint(request, &wish),
            "kube-apiserver-client" if wish.organizations.iter().any(|o| o == "system:masters") => {
                Some("organization system:masters may not be signed for")
            }
            "kube-apiserver-client" => (!allowed(&common) || !usages(request).contains(&"client auth"))
                .then_some("usages did not match the signer's"),
            "legacy-unknown" => None,
            _ => return None,
        };
        if let Some(why) = complaint {
            return Some(Err(why.to_owned()));
        }
        let usage = match (usages(request).contains(&"server auth"), usages(request).contains(&"client auth")) {
            (true, true) => Usage::Both,
            (true, false) => Usage::Server,
            _ => Usage::Client,
        };
        let signed = self.signers.authority.sign(&pem, usage, self.context.clock.now(), self.lifetime(request));
        Some(signed.map_err(|error| error.to_string()))
    }

    fn lifetime(&self, request: &Value) -> Duration {
        let asked = request["spec"]["expirationSeconds"].as_u64();
        asked.map_or(self.signers.lifetime, |seconds| {
            Duration::from_secs(seconds.max(LIFE_SECONDS_MIN)).min(self.signers.lifetime)
        })
    }
}
