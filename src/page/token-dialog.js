import { find, setText } from './elements.js';

/**
 * Asks for a token in the dialog of the page.
 *
 * @param {string} detail What the service says.
 * @returns {Promise<string>} Rejects when the person closes the dialog.
 */
export function askForToken(detail) {
  const dialog = find('token-dialog', HTMLDialogElement);
  const input = find('token', HTMLInputElement);
  setText(find('token-detail', HTMLElement), detail);
  input.value = '';
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve, reject) => {
    const end = new AbortController();
    const give = (/** @type {Event} */ event) => {
      event.preventDefault();
      const token = input.value.trim();
      input.value = '';
      if (token === '') return;
      end.abort();
      dialog.close();
      resolve(token);
    };
    const refuse = () => {
      end.abort();
      reject(new Error(detail));
    };
    const { signal } = end;
    find('token-form', HTMLFormElement).addEventListener('submit', give, { signal });
    find('token-cancel', HTMLButtonElement).addEventListener('click', () => dialog.close(), { signal });
    dialog.addEventListener('close', refuse, { signal });
  });
}
