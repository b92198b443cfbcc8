import { writeAnswer } from './answering.ts';
import { ChatError, modelName } from './api.ts';
import { byId } from './dom.ts';
import { HistoryPanel, SettingsPanel } from './panels.ts';
import {
  type Answer,
  type Conversation,
  type Exchange,
  emptyConversation,
  Store,
} from './store.ts';
import { ExchangeView } from './transcript.ts';

const prompt = byId('prompt', HTMLTextAreaElement);
const send = byId('send', HTMLButtonElement);
const transcript = byId('transcript', HTMLElement);
const scroller = byId('scroller', HTMLElement);
const status = byId('status', HTMLElement);
const notice = byId('notice', HTMLElement);

/** What is being written. */
interface Writing {
  readonly view: ExchangeView;
  readonly controller: AbortController;
}

const store = new Store(() =>
  warn('The browser does not keep this conversation: its storage is full or blocked.'),
);
const settings = new SettingsPanel(store, () => void greet());
new HistoryPanel(store, open, ({ id }) => {
  if (id === conversation.id) open(emptyConversation());
});
let conversation = store.current();
let views: ExchangeView[] = [];
let writing: Writing | undefined;

function announce(text: string): void {
  status.textContent = text;
}

function warn(text: string): void {
  notice.textContent = text;
  notice.hidden = text === '';
}

/** Shows a conversation. What is being written to another one is ended, and kept. */
function open(next: Conversation): void {
  writing?.controller.abort();
  conversation = next;
  store.open(next);
  render();
  scroller.scrollTop = scroller.scrollHeight;
  prompt.focus();
}

function render(): void {
  views = conversation.exchanges.map((exchange) => makeView(exchange));
  transcript.replaceChildren(...views.map(({ element }) => element));
  refresh();
}

/** Footers depend on which exchange is the last. */
function refresh(): void {
  for (const [i, view] of views.entries()) {
    view.update(view === writing?.view, i === views.length - 1 && writing === undefined);
  }
  byId('welcome', HTMLElement).hidden = views.length > 0;
  byId('new-chat', HTMLButtonElement).disabled = views.length === 0;
  const busy = writing !== undefined;
  send.classList.toggle('busy', busy);
  send.setAttribute('aria-label', busy ? 'Stop' : 'Send');
  send.disabled = !busy && prompt.value.trim() === '';
}

function makeView(exchange: Exchange): ExchangeView {
  return new ExchangeView(exchange, {
    announce,
    regenerate: () => {
      prompt.focus();
      void answer(exchange);
    },
    show: (index) => {
      exchange.shown = index;
      store.save(conversation);
      refresh();
      announce(
        `Answer ${index + 1} of ${exchange.answers.length}: ${exchange.answers[index].text}`,
      );
    },
  });
}

function submit(): void {
  const question = prompt.value.trim();
  if (question === '' || writing) return;
  const exchange: Exchange = { question, answers: [], shown: 0 };
  conversation.exchanges.push(exchange);
  const view = makeView(exchange);
  views.push(view);
  transcript.append(view.element);
  prompt.value = '';
  store.draft = '';
  resize();
  void answer(exchange);
}

/** Writes one more answer to a message. */
async function answer(exchange: Exchange): Promise<void> {
  if (writing) return;
  const own = conversation;
  const at = own.exchanges.indexOf(exchange);
  const view = views[at];
  const made: Answer = { text: '' };
  // An attempt that came to nothing is none to go back to.
  const kept = exchange.answers.filter(({ text }) => text !== '');
  exchange.answers.splice(0, exchange.answers.length, ...kept, made);
  exchange.shown = exchange.answers.length - 1;
  const controller = new AbortController();
  writing = { view, controller };
  warn('');
  store.save(own);
  refresh();
  scroller.scrollTop = scroller.scrollHeight;
  announce('The answer is being written');
  const keep = setInterval(() => store.save(own), 1000);
  try {
    const { system, sampling } = settings.settings;
    const { question } = exchange;
    const asked = {
      system,
      sampling,
      question,
      before: own.exchanges.slice(0, at),
      key: store.key,
    };
    await writeAnswer(made, asked, controller.signal, () => {
      view.later();
      follow();
    });
    announce(`${made.text} ${made.note ?? ''}`);
  } catch (error) {
    fail(made, error);
  } finally {
    clearInterval(keep);
    store.save(own);
    writing = undefined;
    const near = isNearEnd();
    refresh();
    if (near) scroller.scrollTop = scroller.scrollHeight;
  }
}

function fail(made: Answer, error: unknown): void {
  made.error = error instanceof Error ? error.message : String(error);
  announce(`No answer: ${made.error}`);
  if (error instanceof ChatError && error.status === 401) settings.askForKey();
}

const NEAR = 80;

function isNearEnd(): boolean {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
}

/** Stays at the end while the reader is there; who has scrolled up is left in peace. */
function follow(): void {
  if (!isNearEnd()) return;
  requestAnimationFrame(() => {
    scroller.scrollTop = scroller.scrollHeight;
  });
}

/** Gives the field the height of its text. */
function resize(): void {
  prompt.style.height = 'auto';
  prompt.style.height = `${prompt.scrollHeight}px`;
}

async function greet(): Promise<void> {
  try {
    byId('model', HTMLElement).textContent = await modelName(store.key);
    warn('');
  } catch (error) {
    warn((error as Error).message);
    if (error instanceof ChatError && error.status === 401) settings.askForKey();
  }
}

prompt.value = store.draft;
prompt.addEventListener('input', () => {
  store.draft = prompt.value;
  resize();
  refreshSend();
});
prompt.addEventListener('keydown', (event) => {
  // Enter also ends the choice of a character in some writing systems.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
byId('composer', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  if (writing) writing.controller.abort();
  else submit();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && document.querySelector('dialog[open]') === null) {
    writing?.controller.abort();
  }
});
byId('new-chat', HTMLButtonElement).addEventListener('click', () => open(emptyConversation()));
store.onChange((id) => {
  if (id !== conversation.id || writing) return;
  conversation = store.list().find((one) => one.id === id) ?? emptyConversation();
  render();
});
addEventListener('pagehide', () => {
  if (writing) store.save(conversation);
});

function refreshSend(): void {
  send.disabled = writing === undefined && prompt.value.trim() === '';
}

store.open(conversation);
render();
resize();
scroller.scrollTop = scroller.scrollHeight;
prompt.focus();
void greet();
