// Makes of whatever server there is one with all features, as far as the page can see: what it says of
// itself is changed on the way, and requests that it does not know are answered here.
(() => {
  const features = ["accounts", "edit", "rooms", "read", "moderation"];
  window.sockets = [];
  window.asked = [];
  window.answers = {};
  const change = (frame) => (frame.type === "welcome" ? { ...frame, features, ...window.welcomeMore } : frame);
  window.WebSocket = class extends WebSocket {
    constructor(address) {
      super(address);
      window.sockets.push(this);
    }
    set onmessage(heard) {
      super.onmessage = (event) => heard?.({ data: JSON.stringify(change(JSON.parse(event.data))) });
      this.heard = heard;
    }
    send(text) {
      const { token, ...frame } = JSON.parse(text);
      (window.said ??= []).push(JSON.parse(text));
      // Nobody there knows it.
      super.send(JSON.stringify(frame));
    }
  };
  const real = window.fetch.bind(window);
  window.fetch = async (address, how = {}) => {
    const path = String(address).replace("/api/v1/", "");
    const key = `${how.method ?? "GET"} ${path}`;
    window.asked.push([key, how.body ? JSON.parse(how.body) : null]);
    const known = Object.keys(window.answers).find((it) => key.startsWith(it));
    if (!known) return real(address, how);
    const [status, body] = window.answers[known];
    return new Response(JSON.stringify(body), { status, headers: { "content-type": "application/json" } });
  };
  window.tell = (frame) => window.sockets.at(-1).heard({ data: JSON.stringify(frame) });
})();
