/**
 * What every answer carries: browsers are to take it for nothing but what its Content-Type says, not to show it inside other
 * pages, and to load or tell nothing because of it.
 */
export const securityHeaders = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
} as const;
