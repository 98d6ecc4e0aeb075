//! Who is signed in: a signed cookie names a session, and the token that was typed stays here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The name of the cookie.
pub const COOKIE: &str = "__Host-keyguard-session";
/// How long a session lasts at most; a token that ends earlier ends it too.
pub const LASTS: Duration = Duration::from_secs(3600);
/// The most sessions, of all and of one user; one more ends that which would end first.
const MOST: usize = 1_000;
const MOST_OF_ONE: usize = 50;

/// The sessions of one server.
pub struct Sessions {
    signer: Hmac<Sha256>,
    open: Mutex<HashMap<String, Session>>,
}

struct Session {
    user: String,
    token: Zeroizing<String>,
    ends: Instant,
}

impl Default for Sessions {
    fn default() -> Sessions {
        let mut key = Zeroizing::new([0_u8; 64]);
        let (parts, _) = key.as_chunks_mut::<16>();
        parts
            .iter_mut()
            .for_each(|part| *part = Uuid::new_v4().into_bytes());
        Sessions {
            signer: Hmac::new((&*key).into()),
            open: Mutex::default(),
        }
    }
}

impl Sessions {
    /// Begins a session of a user and returns the value of its cookie.
    pub fn begin(&self, user: &str, token: Zeroizing<String>, now: Instant) -> String {
        let id = Uuid::new_v4().simple().to_string();
        let ends = now + LASTS;
        let mut open = self.lock();
        open.retain(|_, session| session.ends > now);
        let own = open.values().filter(|session| session.user == user);
        let too_many_own = own.count() >= MOST_OF_ONE;
        if too_many_own || open.len() >= MOST {
            let may_end = open
                .iter()
                .filter(|(_, session)| !too_many_own || session.user == user);
            let first = may_end.min_by_key(|(_, session)| session.ends);
            if let Some(first) = first.map(|(id, _)| id.clone()) {
                open.remove(&first);
            }
        }
        let session = Session {
            user: user.to_owned(),
            token,
            ends,
        };
        open.insert(id.clone(), session);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&id).finalize().into_bytes());
        format!("{id}.{signature}")
    }

    /// The token of the session that a cookie names, while it lasts.
    pub fn token(&self, cookie: &str, now: Instant) -> Option<Zeroizing<String>> {
        let id = self.verified(cookie)?;
        let open = self.lock();
        let session = open.get(id).filter(|session| session.ends > now)?;
        Some(session.token.clone())
    }

    /// Ends the session that a cookie names.
    pub fn end(&self, cookie: &str) {
        if let Some(id) = self.verified(cookie) {
            self.lock().remove(id);
        }
    }

    fn verified<'a>(&self, cookie: &'a str) -> Option<&'a str> {
        let (id, signature) = cookie.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.sign(id).verify_slice(&signature).ok()?;
        Some(id)
    }

    fn sign(&self, id: &str) -> Hmac<Sha256> {
        let mut signer = self.signer.clone();
        signer.update(id.as_bytes());
        signer
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[test]
    fn a_session_lasts_until_it_ends_and_no_other_cookie_opens_it() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let cookie = sessions.begin("u", token("t"), now);
        let seen = |cookie: &str, now| sessions.token(cookie, now).map(|it| it.to_string());
        assert_eq!(seen(&cookie, now).as_deref(), Some("t"));
        let (id, signature) = cookie.split_once('.').unwrap();
        let of_another_server = Sessions::default().begin("u", token("t"), now);
        let (_, foreign) = of_another_server.split_once('.').unwrap();
        for forged in [
            "",
            id,
            &format!("{id}."),
            &format!("{id}.AAAA"),
            &format!("{id}.{foreign}"),
            &format!("{}.{signature}", "0".repeat(32)),
            &of_another_server,
        ] {
            assert_eq!(seen(forged, now), None, "{forged}");
        }
        assert_eq!(seen(&cookie, now + LASTS), None);
        sessions.end(&cookie);
        assert_eq!(seen(&cookie, now), None);
    }

    #[test]
    fn sessions_are_bounded_and_the_oldest_gives_way() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let at = |place: usize| start + Duration::from_millis(u64::try_from(place).unwrap());
        let cookies: Vec<_> = (0..=MOST)
            .map(|place| sessions.begin(&format!("user-{place}"), token("t"), at(place)))
            .collect();
        let is_open = |cookie: &String| sessions.token(cookie, at(MOST)).is_some();
        let open = cookies.iter().map(is_open).collect::<Vec<_>>();
        assert_eq!(open.iter().filter(|is_open| **is_open).count(), MOST);
        assert!(!open[0]);
    }

    #[test]
    fn who_signs_in_again_and_again_ends_sessions_of_their_own_alone() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        let other = sessions.begin("other", token("t"), now);
        let own: Vec<_> = (0..2 * MOST)
            .map(|_| sessions.begin("one", token("t"), now))
            .collect();
        let is_open = |cookie: &&String| sessions.token(cookie, now).is_some();
        assert!(is_open(&&other));
        assert_eq!(own.iter().filter(is_open).count(), MOST_OF_ONE);
    }
}
