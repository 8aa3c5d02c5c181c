/** What to do where a program may not listen below port 1024 (capabilities(7), CAP_NET_BIND_SERVICE). */
export const lowPortHint =
  'ports below 1024 take the unit that ships (systemctl start rolecall), or root';
