/**
 * The HTTP agent of webhooks: connects only to allowed addresses.
 *
 * The address of the connected socket is checked, not a name that was resolved before: an IP literal never reaches a
 * custom lookup, and a name may change its answer between the check and the connection. Nothing is written to a
 * socket that fails the check.
 */
import { isAllowedAddress, type ReceiverPolicy } from '@waybill/shared/security/receiver-address.ts';
import { Agent, buildConnector } from 'undici';

export class BlockedAddressError extends Error {
  readonly code = 'blocked_address';
}

export function createGuardedAgent(policy: ReceiverPolicy, connectTimeoutMs: number): Agent {
  const connect = buildConnector({ timeout: connectTimeoutMs });
  return new Agent({
    connections: 4,
    pipelining: 1,
    connect(options, callback) {
      connect(options, (error, socket) => {
        if (error) return callback(error, null);
        const address = socket.remoteAddress ?? '';
        if (isAllowedAddress(address, policy)) return callback(null, socket);
        socket.destroy();
        callback(
          new BlockedAddressError(
            `Cannot deliver: ${address} is private; add its network to webhooks.allow_networks to allow it`,
          ),
          null,
        );
      });
    },
  });
}
