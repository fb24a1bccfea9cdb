// Passkeys (WebAuthn): asks the browser for one, or to make one, and sends what it answers with the form.
(() => {
  "use strict";

  if (!window.PublicKeyCredential) return;

  const octets = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (letter) => letter.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (credentials) => (credentials || []).map((each) => ({ ...each, id: octets(each.id) }));

  const given = async ({ publicKey }) => {
    const credential = await navigator.credentials.get({
      publicKey: { ...publicKey, challenge: octets(publicKey.challenge), allowCredentials: known(publicKey.allowCredentials) },
    });
    const { clientDataJSON, authenticatorData, signature, userHandle } = credential.response;
    return answer(credential, {
      clientDataJSON: text(clientDataJSON),
      authenticatorData: text(authenticatorData),
      signature: text(signature),
      userHandle: userHandle ? text(userHandle) : null,
    });
  };

  const made = async ({ publicKey }) => {
    const credential = await navigator.credentials.create({
      publicKey: {
        ...publicKey,
        challenge: octets(publicKey.challenge),
        user: { ...publicKey.user, id: octets(publicKey.user.id) },
        excludeCredentials: known(publicKey.excludeCredentials),
        authenticatorSelection: {
          ...publicKey.authenticatorSelection, residentKey: "required", requireResidentKey: true, userVerification: "required",
        },
      },
    });
    const { clientDataJSON, attestationObject } = credential.response;
    return answer(credential, { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) });
  };

  const answer = (credential, response) => ({
    id: credential.id,
    rawId: text(credential.rawId),
    type: credential.type,
    clientExtensionResults: credential.getClientExtensionResults(),
    response,
  });

  // What to ask for stands in the page, or where the form is sent to.
  const options = async (form) => {
    if (form.dataset.options) return JSON.parse(document.getElementById(form.dataset.options).textContent);
    const response = await fetch(form.action, { headers: { Accept: "application/json", "X-Requested-With": "XMLHttpRequest" } });
    if (!response.ok) throw new Error(response.statusText);
    return response.json();
  };

  for (const part of document.querySelectorAll("[data-passkeys]")) {
    part.hidden = false;
    part.classList.remove("awaits-passkeys");
  }
  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const problem = form.querySelector("[data-passkey-problem]");
      problem.hidden = true;
      try {
        const found = await options(form);
        const credential = form.dataset.passkey === "get" ? await given(found.request_options) : await made(found.creation_options);
        form.elements.credential.value = JSON.stringify(credential);
        form.submit();
      } catch {
        problem.hidden = false;
      }
    });
  }
})();
