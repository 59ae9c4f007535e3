//! Service account tokens: signed claims, as upstream's projected tokens carry them.

use crate::identity::account_key::{self, Public};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An object that a token is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Its name.
    pub name: String,
    /// Its unique id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uid: String,
}

/// The private claim `kubernetes.io`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Private {
    /// Namespace of the account.
    pub namespace: String,
    /// The account.
    pub serviceaccount: Bound,
    /// The pod that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Bound>,
    /// The node of that pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Bound>,
    /// The Secret that the token is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Bound>,
    /// Seconds since the epoch after which the token should be renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warnafter: Option<i64>,
}

/// The claims of a service account token. Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// For whom.
    pub aud: Vec<String>,
    /// Until when.
    pub exp: i64,
    /// Since when it was issued.
    pub iat: i64,
    /// By whom.
    pub iss: String,
    /// Its own id.
    pub jti: String,
    /// What Kubernetes adds.
    #[serde(rename = "kubernetes.io")]
    pub kubernetes: Private,
    /// Since when it counts.
    pub nbf: i64,
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub sub: String,
}

/// A token or a key that is no good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The key can't be read.
    #[error("the service account key can't be read")]
    Key(#[source] jsonwebtoken::errors::Error),
    /// The token's time is over.
    #[error("service account token has expired")]
    Expired,
    /// The token's time has not come.
    #[error("service account token is not valid yet")]
    Early,
    /// The token was not signed with this key. Upstream's library tells of it in these words.
    #[error("go-jose/go-jose: error in cryptographic primitive")]
    Signature,
    /// The token is not of this issuer, not for these audiences, or none at all.
    #[error("the token is not valid")]
    Token(#[source] jsonwebtoken::errors::Error),
}

/// Signs tokens: a key and who it belongs to.
#[derive(Clone)]
pub struct Signer {
    key: EncodingKey,
    header: Header,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").finish_non_exhaustive()
    }
}

impl Signer {
    /// Reads a private key, PEM: RSA, or EC on P-256 or P-384, as PKCS#8, PKCS#1 or SEC1.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, TokenError> {
        let (algorithm, key) = account_key::private(pem)?;
        Ok(Self { key, header: Header::new(algorithm) })
    }

    /// Names the key in the head of each token, as [`public_jwk`] names it.
    #[must_use]
    pub fn with_key_id(mut self, key_id: &str) -> Self {
        self.header.kid = Some(key_id.to_owned());
        self
    }

    /// Signs.
    ///
    /// # Errors
    /// When the claims can't be written.
    pub fn sign(&self, claims: &Claims) -> Result<String, TokenError> {
        jsonwebtoken::encode(&self.header, claims, &self.key).map_err(TokenError::Token)
    }
}

/// Verifies tokens of one issuer.
#[derive(Clone)]
pub struct Verifier {
    key: DecodingKey,
    algorithm: Algorithm,
    issuer: String,
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl Verifier {
    /// Reads a public key, PEM (SPKI), or the public half of what [`Signer::from_pem`] reads.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(pem: &str, issuer: &str) -> Result<Self, TokenError> {
        let Public { key, algorithm, .. } = Public::read(pem)?;
        Ok(Self { key, algorithm, issuer: issuer.to_owned() })
    }

    /// True when a token claims to be of this issuer, so that it is ours to judge. Nothing is verified.
    #[must_use]
    pub fn claims_issuer(&self, token: &str) -> bool {
        let claims = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        claims
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
            .is_some_and(|claims| claims["iss"] == self.issuer.as_str())
    }

    /// Checks signature, issuer, audiences (any of them; `None` leaves them to the caller) and times, and gives the claims.
    ///
    /// # Errors
    /// When one of these is wrong.
    pub fn verify(&self, token: &str, audiences: Option<&[&str]>, now_seconds: i64) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(self.algorithm);
        validation.set_issuer(&[&self.issuer]);
        match audiences {
            Some(audiences) => validation.set_audience(audiences),
            None => validation.validate_aud = false,
        }
        // The time is the member's clock's, which a test may move: not the library's own.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.key, &validation);
        let claims = decoded.map_err(|error| match error.kind() {
            jsonwebtoken::errors::ErrorKind::InvalidSignature => TokenError::Signature,
            _ => TokenError::Token(error),
        });
        let claims = claims?.claims;
        if now_seconds >= claims.exp {
            return Err(TokenError::Expired);
        }
        if now_seconds < claims.nbf {
            return Err(TokenError::Early);
        }
        Ok(claims)
    }
}

/// The public half of a key, PEM, as a JSON Web Key. Its `kid` is the SHA-256 of the SPKI, as upstream names keys.
///
/// # Errors
/// When it is no key that [`Verifier::from_pem`] reads.
pub fn public_jwk(pem: &str) -> Result<Value, TokenError> {
    Public::read(pem).map(|public| public.web)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        Claims {
            aud: vec!["api".into()],
            exp: 200,
            iat: 100,
            iss: "issuer".into(),
            jti: "1".into(),
            kubernetes: Private {
                namespace: "default".into(),
                serviceaccount: Bound { name: "default".into(), uid: "u".into() },
                pod: None,
                node: None,
                secret: None,
                warnafter: None,
            },
            nbf: 100,
            sub: "system:serviceaccount:default:default".into(),
        }
    }

    #[test]
    fn a_public_key_verifies_by_its_json_form_and_is_named_in_the_token() {
        let (private, public) = crate::identity::pki::signing_key().unwrap();
        assert_eq!(crate::identity::pki::public_key(&private).unwrap(), public);
        let jwk = public_jwk(&public).unwrap();
        let signer = Signer::from_pem(&private).unwrap().with_key_id(jwk["kid"].as_str().unwrap());
        let token = signer.sign(&claims()).unwrap();
        assert_eq!(jsonwebtoken::decode_header(&token).unwrap().kid.unwrap(), jwk["kid"]);
        let read: jsonwebtoken::jwk::Jwk = serde_json::from_value(jwk).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["api"]);
        validation.validate_exp = false;
        jsonwebtoken::decode::<Claims>(&token, &DecodingKey::from_jwk(&read).unwrap(), &validation).unwrap();
        assert!(public_jwk("nonsense").is_err());
    }

    #[test]
    fn keys_of_every_kind_and_form_sign_and_verify() {
        for (pem, algorithm) in crate::identity::pki::keys_of_every_kind() {
            let (signer, web) = (Signer::from_pem(&pem).unwrap(), public_jwk(&pem).unwrap());
            let token = signer.sign(&claims()).unwrap();
            assert_eq!(web["alg"], algorithm);
            assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&token).unwrap().alg), algorithm);
            let public = crate::identity::pki::public_key(&pem).unwrap();
            for key in [&pem, &public] {
                let verifier = Verifier::from_pem(key, "issuer").unwrap();
                assert_eq!(verifier.verify(&token, Some(&["api"]), 150).unwrap(), claims(), "{algorithm}");
            }
            assert_eq!(public_jwk(&public).unwrap(), web);
        }
    }

    #[test]
    fn a_certificate_verifies_by_its_key() {
        let authority = crate::identity::pki::Authority::create("x", std::time::SystemTime::UNIX_EPOCH).unwrap();
        let token = Signer::from_pem(&authority.key_pem()).unwrap().sign(&claims()).unwrap();
        let verifier = Verifier::from_pem(authority.certificate_pem(), "issuer").unwrap();
        assert_eq!(verifier.verify(&token, None, 150).unwrap(), claims());
        assert!(Signer::from_pem(authority.certificate_pem()).is_err());
    }

    #[test]
    fn a_token_counts_for_its_key_issuer_audience_and_time_only() {
        let (private, public) = crate::identity::pki::signing_key().unwrap();
        let (_, other) = crate::identity::pki::signing_key().unwrap();
        let token = Signer::from_pem(&private).unwrap().sign(&claims()).unwrap();
        let verifier = Verifier::from_pem(&public, "issuer").unwrap();
        assert_eq!(verifier.verify(&token, Some(&["api"]), 150).unwrap(), claims());
        assert!(verifier.claims_issuer(&token));
        assert!(verifier.verify(&token, Some(&["other"]), 150).is_err());
        assert_eq!(verifier.verify(&token, None, 150).unwrap(), claims());
        assert!(verifier.verify(&token, Some(&["api"]), 200).is_err());
        assert!(verifier.verify(&token, Some(&["api"]), 99).is_err());
        assert!(Verifier::from_pem(&public, "stranger").unwrap().verify(&token, Some(&["api"]), 150).is_err());
        assert!(Verifier::from_pem(&other, "issuer").unwrap().verify(&token, Some(&["api"]), 150).is_err());
    }
}
