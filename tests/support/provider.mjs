// The identity provider of the tests: oidc-provider as an operator would set it up for MCP servers. Not for use.
//
// `node provider.mjs OPTIONS`, where OPTIONS is JSON: {port, keys, clients, accounts, scopes, formats, algorithms, ttl}.
// It writes one JSON object per line to stdout: {"ready": true} once, {"did": "GET /jwks"} for each request. A line on
// stdin changes what it does from then on: {"delay": seconds, "answers": {"/jwks": {status, type, body}}}.
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const packages = new URL('../interop/node_modules/', import.meta.url);
const { default: Provider, errors } = await import(new URL('oidc-provider/lib/index.js', packages));
const { createLocalJWKSet, jwtVerify } = await import(new URL('jose/dist/webapi/index.js', packages));

const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi'];

const options = { clients: [], accounts: {}, scopes: [], formats: {}, algorithms: {}, ttl: 600, ...JSON.parse(process.argv[2]) };
const issuer = `http://127.0.0.1:${options.port}`;
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let now = { delay: 0, answers: {} };

/** What a resource gets: its own name as audience, and tokens that it can read by itself unless they are to be opaque. */
function resourceServer(resource, client) {
  if (!resource.startsWith('http://127.0.0.1:')) throw new errors.InvalidTarget();
  const format = options.formats[resource] ?? 'jwt';
  const sign = { alg: options.algorithms[client.clientId] ?? 'RS256' };
  return {
    scope: options.scopes.join(' '),
    audience: resource,
    accessTokenTTL: options.ttl,
    accessTokenFormat: format,
    jwt: format === 'jwt' ? { sign } : undefined,
  };
}

const provider = new Provider(issuer, {
  jwks: { keys: options.keys },
  clients: options.clients,
  scopes: ['openid', 'offline_access', ...options.scopes],
  claims: { openid: ['sub'], email: ['email'], profile: ['name'] },
  cookies: { keys: ['for tests alone'] },
  features: {
    devInteractions: { enabled: true }, // a login form that believes every name
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: async (_, client) => client.clientAuthMethod !== 'none' },
    registration: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: async (_, resource, client) => resourceServer(resource, client),
      useGrantedResource: async () => true,
    },
  },
  pkce: { required: () => true },
  findAccount: async (_, sub) => ({ accountId: sub, claims: async () => ({ sub, ...options.accounts[sub] }) }),
  extraTokenClaims: async (_, token) => options.accounts[token.accountId],
  issueRefreshToken: async (_, client) => client.grantTypeAllowed('refresh_token'),
  ttl: { AccessToken: options.ttl, ClientCredentials: options.ttl, Grant: 86400, Interaction: 600, Session: 86400, IdToken: 600, RefreshToken: 86400 },
});

/** RFC 8693: a token of a user for one resource is exchanged for one of the same user for another. */
async function exchange(ctx) {
  const { client, params } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('subject_token_type');
  const keys = options.keys.map((key) => Object.fromEntries(Object.entries(key).filter(([name]) => !PRIVATE.includes(name))));
  let subject;
  try {
    ({ payload: subject } = await jwtVerify(params.subject_token, createLocalJWKSet({ keys }), { issuer, typ: 'at+jwt' }));
  } catch {
    throw new errors.InvalidRequest('subject_token');
  }
  const target = params.resource ?? params.audience;
  const server = new provider.ResourceServer(target, resourceServer(target, client));
  const may = (params.scope ?? options.scopes.join(' ')).split(' ').filter((scope) => server.scopes.has(scope));
  const token = new provider.AccessToken({ accountId: subject.sub, client, scope: may.join(' '), gty: 'exchange', resourceServer: server });
  const value = await token.save();
  ctx.body = {
    access_token: value, issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
  };
}
provider.registerGrantType(
  EXCHANGE, exchange, ['subject_token', 'subject_token_type', 'requested_token_type', 'audience', 'resource', 'scope'], [],
);

provider.use(async (ctx, next) => {
  say({ did: `${ctx.method} ${ctx.path}` });
  if (now.delay) await sleep(now.delay * 1000);
  const answer = now.answers[ctx.path];
  if (answer === undefined) return next();
  ctx.status = answer.status ?? 200;
  ctx.type = answer.type ?? 'application/json';
  if (answer.location) ctx.set('location', answer.location);
  ctx.body = answer.body ?? '';
});

const server = provider.listen(options.port, '127.0.0.1');
await once(server, 'listening');
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  now = { delay: 0, answers: {}, ...JSON.parse(line) };
  say({ changed: true });
}
process.exit(0);
