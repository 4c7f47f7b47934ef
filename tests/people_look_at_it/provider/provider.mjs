// A provider as an agency might run one: oidc-provider (OpenID certified), its own sign-in forms, accounts that
// are whoever types a name. Configured by a file whose path is the only argument.
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const { port, client, jwks } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [client],
  jwks,
  cookies: { keys: ["a sample, for tests only"] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  pkce: { required: () => true },
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
